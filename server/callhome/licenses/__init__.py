"""Licenses: verdicts, usage and findings. Pure rules; what they need is read by the store."""
