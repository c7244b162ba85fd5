"""The daemons of a node, and their ports."""

from __future__ import annotations

ADMIN, GROUPWARE = "open-xchange-admin", "open-xchange-groupware"
PORTS = {ADMIN: 1099, GROUPWARE: 8009}
