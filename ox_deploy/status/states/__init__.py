"""The named states of a cluster that is not well; find.py puts them together."""
