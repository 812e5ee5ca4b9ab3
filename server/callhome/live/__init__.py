"""The live counters in memory, kept current from the database and pushed to viewers."""
