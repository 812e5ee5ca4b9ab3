"""Releases and notices: versions in order, who is offered which, what an answer says. Pure."""
