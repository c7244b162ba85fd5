"""The route of the caches."""
