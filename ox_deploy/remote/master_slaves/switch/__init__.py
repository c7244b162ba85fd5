"""A switch of the master."""
