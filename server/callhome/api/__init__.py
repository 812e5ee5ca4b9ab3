"""What programs and the console's pages ask below ``/api/v1``: endpoints, declared once and described by OpenAPI."""
