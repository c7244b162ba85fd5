"""A master that takes writes, and replicas that follow it (guide: Master/Slave database setup)."""
