"""``callhome demo``: three products, and a fleet of installed copies all over the world that calls home."""
