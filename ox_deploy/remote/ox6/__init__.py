"""What only Open-Xchange 6.10 needs on a host."""
