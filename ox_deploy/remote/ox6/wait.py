"""Wait until the caches of this node are connected with those of all other nodes."""

from __future__ import annotations

import time

from ox_deploy.remote.cache.peers import cache_peers
from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.types import Document


def missing_peers(job: Document) -> dict[str, list[int]]:
    """Return the other nodes, and the ports, that are not connected."""
    found = cache_peers(job)
    missing = {}
    for address in job["peers"]:
        ports = sorted(set(job["ports"]) - set(found.get(address, [])))
        if ports:
            missing[address] = ports
    return missing


def ox6_wait(job: Document) -> None:
    """Wait; name who is missing if the time is over."""
    deadline = time.monotonic() + job["seconds"]
    while True:
        missing = missing_peers(job)
        if not missing:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    listed = "; ".join("{} (ports {})".format(peer, ", ".join(map(str, missing[peer]))) for peer in sorted(missing))
    fail(
        "the caches of this node are not connected to {} after {} seconds; all nodes should share a link that "
        "carries multicast, and no firewall should block these ports".format(listed, job["seconds"])
    )
