"""What a switch has to know beyond the state of the servers."""

from __future__ import annotations

from typing import Any

from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact

# How long a server may take to greet, in seconds.
SECONDS = 3


class Reaches(JsonFact[bool]):
    """Whether a database server elsewhere answers this host."""

    def command(self, address: str, port: int) -> Program:
        """Connect to its `port` at an `address`; nobody logs in."""
        return Program("master_slaves.switch_reach", {"host": address, "port": port, "seconds": SECONDS})

    def parse(self, document: dict[str, Any]) -> bool:
        """Return it; a host without Python reaches nothing."""
        return bool(document.get("answers"))
