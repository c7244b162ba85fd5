"""Print whether a multicast network is routed by the interface with this host's address."""

from __future__ import annotations

import itertools

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.service.state import service_state


def multicast_state(wanted: Document) -> Document:
    """Return the state of the route and of the unit that sets it."""
    return {
        "service": service_state(wanted["service"]),
        "present": interface_of(wanted["address"]) in interfaces_to(wanted["network"]),
    }


def interface_of(address: str) -> str | None:
    """Return the name of the interface with an address, or None."""
    for line in run(["ip", "-4", "-o", "address", "show", "to", address]).stdout.splitlines():
        return line.split()[1]
    return None


def interfaces_to(network: str) -> list[str]:
    """Return the names of the interfaces by which the kernel routes exactly this network."""
    fields = run(["ip", "-4", "route", "show", "exact", network]).stdout.split()
    return [name for word, name in itertools.pairwise(fields) if word == "dev"]
