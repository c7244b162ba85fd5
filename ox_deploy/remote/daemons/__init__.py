"""The daemons of a groupware node."""
