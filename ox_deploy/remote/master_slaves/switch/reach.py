"""Tell whether a database server can be reached from this host: it greets whoever connects."""

from __future__ import annotations

import socket

from ox_deploy.remote.common.types import Document


def switch_reach(wanted: Document) -> Document:
    """Return whether it said anything in time."""
    try:
        with socket.create_connection((wanted["host"], wanted["port"]), wanted["seconds"]) as connection:
            return {"answers": bool(connection.recv(1))}
    except OSError:
        return {"answers": False}
