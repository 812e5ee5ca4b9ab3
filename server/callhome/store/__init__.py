"""Every SQL statement of callhome, and the rows and numbers they move."""
