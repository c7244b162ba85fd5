"""Print by which route and interface multicast leaves this host, and which interface has its address."""

from __future__ import annotations

import ipaddress
import json

from ox_deploy.remote.common.commands import run_or_fail
from ox_deploy.remote.common.files import read_present
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.verify.common import attempt

UP = 1


def verify_route(job: Document) -> Document:
    """Return both."""
    return attempt(routing, job)


def routing(job: Document) -> Document:
    """Return the most specific route to the group, or None, and the interface of the address, or None."""
    group = ipaddress.IPv4Address(job["group"])
    covering = [route for route in routes() if group in route["network"]]
    best = max(covering, key=lambda route: (route["network"].prefixlen, -route["metric"]), default=None)
    return {
        "route": best and {"network": str(best["network"]), "interface": best["interface"]},
        "interface": interface_of(job["address"]),
    }


def routes() -> list[Document]:
    """Return the kernel's routes."""
    found = []
    for line in read_present("/proc/net/route").decode().splitlines()[1:]:
        interface, destination, _, flags, _, _, metric, mask = line.split()[:8]
        if int(flags, 16) & UP:
            network = ipaddress.IPv4Network((address_of(destination), str(address_of(mask))))
            found.append({"interface": interface, "network": network, "metric": int(metric)})
    return found


def address_of(text: str) -> ipaddress.IPv4Address:
    """Return an address in the kernel's notation."""
    return ipaddress.IPv4Address(bytes.fromhex(text)[::-1])


def interface_of(address: str) -> str | None:
    """Return the name of the interface that has an address."""
    for link in json.loads(run_or_fail(["ip", "-json", "-4", "address"])):
        if address in {entry.get("local") for entry in link.get("addr_info", [])}:
            name: str = link["ifname"]
            return name
    return None
