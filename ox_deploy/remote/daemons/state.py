"""Print how the daemons of a groupware node are."""

from __future__ import annotations

import os

from ox_deploy.remote.common.files import pending_path
from ox_deploy.remote.common.sockets import listening_ports
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.common.units import unit_states


def daemons_state(wanted: Document) -> Document:
    """Return each service's state; systemd alone does not notice when the child of an init script dies."""
    ports = wanted["units"]
    states, listening = unit_states(list(ports)), listening_ports()
    return {
        name: {
            "active": states[name]["active"],
            "enabled": states[name]["enabled"],
            "listening": port in listening,
            "pending": os.path.exists(pending_path(name)),
        }
        for name, port in ports.items()
        if name in states
    }
