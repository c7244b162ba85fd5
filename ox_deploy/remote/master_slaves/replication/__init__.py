"""How a server replicates."""
