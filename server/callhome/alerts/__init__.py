"""Alerts: the rules, and what is told. Pure but for the webhook."""
