"""The guide's tests as operations: each is one check, changes nothing for good, and never ends the run."""
