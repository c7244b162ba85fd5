"""Print which hosts the caches of this node are connected with."""

from __future__ import annotations

from ox_deploy.remote.common.sockets import ESTABLISHED, sockets
from ox_deploy.remote.common.types import Document


def cache_peers(wanted: Document) -> Document:
    """Return the cache ports of established connections by the other host's address."""
    peers: dict[str, set[int]] = {}
    for local, address, remote in sockets(ESTABLISHED):
        for port in {local, remote} & set(wanted["ports"]):
            peers.setdefault(address, set()).add(port)
    return {address: sorted(ports) for address, ports in peers.items()}
