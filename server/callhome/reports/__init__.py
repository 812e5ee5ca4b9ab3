"""Summary mails: composed from figures, and handed to a mail server."""
