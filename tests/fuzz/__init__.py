"""Fuzz targets: each takes any bytes, and raises only where a promise is broken."""
