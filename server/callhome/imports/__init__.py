"""Imports the history that an older service has kept: rows of a file become pings, counted as if they had been sent."""
