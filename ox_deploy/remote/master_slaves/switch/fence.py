"""How a switch keeps what is decided: as a file of the server, and on MySQL as a transaction, too."""

from __future__ import annotations

import json

DECIDED = "# ox-deploy: "
# MySQL numbers each server's transactions on their own, so those of two servers do not tell which are later. A server
# that takes over writes an empty one in this name ("ox-deploy-switch"), whose number is the time in seconds.
TAKEN_OVER = "6f782d64-6570-6c6f-792d-737769746368"


def fence_text(which: str, other: str, read_only: bool) -> str:
    """Return the file of a server that hands over `to` another one, or takes over `from` it."""
    value = "ON" if read_only else "OFF"
    decided = DECIDED + json.dumps({which: other})
    return f"# Written while the master is switched.\n{decided}\n[mysqld]\nread_only = {value}\n"


def decided_in(text: str) -> dict[str, str]:
    """Return what such a file says: {} if nothing."""
    for line in text.splitlines():
        if line.startswith(DECIDED):
            found: dict[str, str] = json.loads(line.removeprefix(DECIDED))
            return found
    return {}
