"""The listener that faces the company: the live counters over HTTP and websocket, and the metrics."""
