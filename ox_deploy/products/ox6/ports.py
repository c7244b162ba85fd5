"""The ports of a node: those of its daemons and caches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ox_deploy.ports import Port, Way, way_to
from ox_deploy.products.ox6.daemons import GROUPWARE, PORTS
from ox_deploy.products.ox6.jcs import CACHES

if TYPE_CHECKING:
    from ox_deploy.cluster import Node
    from ox_deploy.products.ox6.settings import Ox6Settings


def own_ports(settings: Ox6Settings) -> Iterator[Port]:
    """Return the ports that the daemons of a node listen on."""
    yield from (Port(number, (daemon,)) for daemon, number in PORTS.items())
    yield from (Port(cache.port, (cache.service,)) for cache in CACHES.values())
    # All daemons listen there at the same time.
    for number in (settings.cache_multicast_port, settings.session_cache_multicast_port):
        yield Port(number, tuple(PORTS), protocol="udp")


def needed_ways(node: Node, groupware: Sequence[Node]) -> Iterator[Way]:
    """Return which ports of groupware nodes a host connects to: the balancer, and the caches of another node."""
    if "web" in node.groups:
        yield way_to(groupware, PORTS[GROUPWARE])
    if "groupware" in node.groups:
        yield way_to(groupware, *(cache.port for cache in CACHES.values()))
