"""The configuration of Open-Xchange, and what is registered."""
