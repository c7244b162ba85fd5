"""What all facts of this package share: one command, JSON in, typed data out."""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

from pyinfra.api import FactBase, Host
from pyinfra.api.exceptions import OperationError

T = TypeVar("T")


class JsonFact(FactBase[T], Generic[T]):
    """A fact whose program prints one JSON document; `parse` turns it into typed data."""

    abstract = True

    def parse(self, document: dict[str, Any]) -> T:
        """Return the typed form of what the program printed; `{}` is a host without Python."""
        raise NotImplementedError

    def process(self, output: list[str]) -> T:
        """Parse the program's output."""
        return self.parse(json.loads("\n".join(output)))


class PeerUnreachable(OperationError):
    """Another host whose state has to be known cannot be asked; the message is one sentence with the remedy."""


def peer_fact(asking: Host, inventory_name: str, fact: type[FactBase[T]], **arguments: Any) -> T:
    """Return a fact of another host, also of one outside `--limit`, which is connected on demand.

    Raises PeerUnreachable if that host cannot be asked.
    """
    peer = asking.inventory.get_host(inventory_name)
    try:
        answer = peer.get_fact(fact, **arguments)
    except Exception as error:
        raise PeerUnreachable(_unreachable(asking, inventory_name, str(error))) from error
    if answer is None:
        raise PeerUnreachable(_unreachable(asking, inventory_name, "it gave no answer"))
    return answer


def _unreachable(asking: Host, inventory_name: str, reason: str) -> str:
    return (
        f"{asking.name} has to know the state of {inventory_name}, which cannot be asked ({reason}); "
        "make that host reachable and run again."
    )
