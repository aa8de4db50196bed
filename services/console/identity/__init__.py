"""Who uses the console: users, their roles and rights, logins, sessions, tokens."""
