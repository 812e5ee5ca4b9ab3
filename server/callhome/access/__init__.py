"""Who may use the console: roles, passwords, sessions, tokens, and how tries are slowed down."""
