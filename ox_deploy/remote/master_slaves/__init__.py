"""What only a master and its replicas need on a host."""
