"""A master that takes writes, and slaves that replicate from it (guide: Master/Slave database setup)."""
