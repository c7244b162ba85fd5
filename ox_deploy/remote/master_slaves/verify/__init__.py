"""The tests of a master and its slaves."""
