"""Rows on disk while the database is away: appended and synced before the answer, drained in order."""
