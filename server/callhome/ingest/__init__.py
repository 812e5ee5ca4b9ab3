"""From the socket to the durable row: HTTP, decode, enrich, group commit."""
