"""``callhome serve --workers N``: a supervisor and N replicas on one machine, which share the ports."""
