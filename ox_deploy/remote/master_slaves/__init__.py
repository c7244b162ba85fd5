"""What only a master and its slaves need on a host."""
