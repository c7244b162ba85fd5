"""How hosts are asked and told."""
