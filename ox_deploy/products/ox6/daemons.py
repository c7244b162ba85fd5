"""The daemons of a node, and their ports."""

from __future__ import annotations

from ox_deploy.operations.openxchange.wanted import AdminCheck

ADMIN, GROUPWARE = "open-xchange-admin", "open-xchange-groupware"
PORTS = {ADMIN: 1099, GROUPWARE: 8009}
# It refuses connections while it starts.
ADMIN_CHECK = AdminCheck("listserver", ["--csv"], starting=105)
