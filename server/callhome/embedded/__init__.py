"""An embedded PostgreSQL with our own launcher, for the demo, the tests, and trying it out."""
