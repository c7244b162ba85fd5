"""The tests of a master and its replicas."""
