"""The caches of a groupware node."""
