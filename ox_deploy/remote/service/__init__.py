"""A service: its files, its units, and whether it works."""
