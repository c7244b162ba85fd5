"""The role of a server, looked at right before it matters."""
