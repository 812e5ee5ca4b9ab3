"""callhome: the service to which every installed copy of a vendor's software calls home."""

__version__ = "0.1.0"
