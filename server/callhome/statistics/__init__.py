"""What the pages of statistics say, worked out from counts: pure."""
