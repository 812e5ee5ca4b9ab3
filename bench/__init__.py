"""Load tests of callhome that operators run: see README.md. Not a part of the installed package."""
