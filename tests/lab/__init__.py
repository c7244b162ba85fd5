"""The Docker lab: bare Debian hosts under systemd, as containers."""
