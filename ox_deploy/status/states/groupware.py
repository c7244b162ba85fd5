"""States of the groupware nodes: daemons, multicast route, and the connections of the caches.

The caches of two nodes are expected to be connected only where the daemons they belong to run, on hosts that answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from ox_deploy.cluster import Node
from ox_deploy.findings import Level
from ox_deploy.status.seen import Seen
from ox_deploy.status.states.base import Observation, Problem, idle_units, state


@state(
    "multicast route missing",
    Level.WARNING,
    "run the deploy, which sets it; `systemctl status` of it there says why it does not run",
)
def multicast_route_missing(observed: Observation) -> Iterator[Problem]:
    """Find nodes without the route for the discovery of the other nodes."""
    for seen in observed.answering(observed.cluster.groupware):
        if not seen.route:
            continue
        found = idle_units(seen.route.service) or ("" if seen.route.present else "the kernel has no such route")
        if found:
            yield Problem(seen.node, found, "the route for multicast is set, now and at boot")


@state(
    "admin daemon down",
    Level.CRITICAL,
    "run the deploy, which starts it; `journalctl -u` of the service and /var/log/open-xchange there show its errors",
)
def admin_daemon_down(observed: Observation) -> Iterator[Problem]:
    """Find nodes without the admin daemon, if that is one of its own."""
    product = observed.cluster.product
    if product.admin_service != product.groupware_service:
        yield from _daemons_down(observed, product.admin_service)


@state(
    "groupware daemon down",
    Level.CRITICAL,
    "run the deploy, which starts it; `journalctl -u` of the service and /var/log/open-xchange there show its errors",
)
def groupware_daemon_down(observed: Observation) -> Iterator[Problem]:
    """Find nodes without the groupware daemon."""
    yield from _daemons_down(observed, observed.cluster.product.groupware_service)


@state("node alone", Level.CRITICAL)
def node_alone(observed: Observation) -> Iterator[Problem]:
    """Find nodes whose caches are connected with no other; of two that lack each other only the first is named."""
    named: list[tuple[Node, Node]] = []
    nodes = observed.answering(observed.cluster.groupware)
    for seen in nodes:
        peers = [peer for peer in nodes if peer is not seen and expected_caches(observed, seen, peer)]
        if not peers or any(connected_ports(seen, peer) for peer in peers):
            continue
        only = peers[0].node if len(peers) == 1 else None
        if only and (only, seen.node) in named:
            continue
        if only:
            named.append((seen.node, only))
        whom = (
            f"with {only.name}, the only other one that runs" if only else f"with any of the {len(peers)} other nodes"
        )
        yield Problem(
            seen.node,
            f"none of its caches is connected {whom}",
            "its caches are connected with those of every other node",
            about=only.name if only else "",
            remedy=observed.cluster.product.node_alone_remedy,
        )


@state(
    "cache link missing",
    Level.WARNING,
    "check that no firewall blocks these ports between the two nodes, then restart the daemons of one of them",
)
def cache_link_missing(observed: Observation) -> Iterator[Problem]:
    """Find pairs of nodes that lack a connection of their caches."""
    for seen, peer in combinations(observed.answering(observed.cluster.groupware), 2):
        connected = connected_ports(seen, peer)
        missing = {name: port for name, port in expected_caches(observed, seen, peer).items() if port not in connected}
        if missing:
            listed = ", ".join(f"{name} (port {port})" for name, port in missing.items())
            yield Problem(
                seen.node,
                f"{peer.node.name} and this node have no connection between the caches {listed}",
                "all caches of both are connected",
                about=peer.node.name,
            )


def daemon_runs(seen: Seen, service: str) -> bool:
    """Tell whether a daemon is active and listens."""
    daemon = (seen.daemons or {}).get(service)
    return not seen.unreachable and daemon is not None and daemon.active and daemon.listening


def _daemons_down(observed: Observation, service: str) -> Iterator[Problem]:
    port = observed.cluster.product.ports[service]
    for seen in observed.answering(observed.cluster.groupware):
        if not daemon_runs(seen, service):
            daemon = (seen.daemons or {}).get(service)
            active = daemon is not None and daemon.active
            found = f"{service} is active, but does not listen on port {port}" if active else f"{service} is not active"
            yield Problem(seen.node, found, f"{service} runs and listens on port {port}")


def expected_caches(observed: Observation, one: Seen, other: Seen) -> dict[str, int]:
    """Return name and port of the caches of two nodes that should be connected: their daemon runs on both."""
    return {
        name: cache.port
        for name, cache in observed.cluster.product.caches.items()
        if all(daemon_runs(seen, cache.service) for seen in (one, other))
    }


def connected_ports(one: Seen, other: Seen) -> set[int]:
    """Return the cache ports over which two nodes are connected, as both of them see it."""
    here = (one.caches or {}).get(other.node.address, [])
    there = (other.caches or {}).get(one.node.address, [])
    return set(here) & set(there)
