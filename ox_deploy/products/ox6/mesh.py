"""The connections of a node's caches with those of the other nodes."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.openxchange import CachePeers
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import order
from ox_deploy.questions.question import Question

# How long the caches may take to find each other.
MESH_SECONDS = 60


def _caches_question(ports: Sequence[int], **_: Any) -> Question[dict[str, list[int]]]:
    return Question(CachePeers, ports=list(ports))


@prefetch.asks(_caches_question)
@operation()
def join(peers: Sequence[str], ports: Sequence[int]) -> Generator[StringCommand, None, None]:
    """
    Wait until the caches of this node are connected with those of every other node.

    + peers: addresses of the other nodes
    + ports: TCP ports of the caches

    Idempotent; fails with the names of the nodes that are missing.
    Guide: Test the network settings, `netstat -tlpa | grep java | grep ESTABLISHED`.
    """
    found = ask(host, _caches_question(ports))
    if all(set(ports) <= set(found.get(peer, [])) for peer in peers):
        host.noop("every other node is connected")
        return
    yield order("ox6_wait", {"peers": list(peers), "ports": list(ports), "seconds": MESH_SECONDS})
