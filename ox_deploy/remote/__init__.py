"""The programs that run on the hosts, and nothing else: they know Python's standard library, and each other."""
