"""Whether the discovery of the nodes leaves by the interface of the cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ox_deploy.facts.service import ServiceStatus, asked, parse_status
from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact


@dataclass(frozen=True)
class RouteStatus:
    """The unit that sets the route, and whether the kernel has the route now."""

    service: ServiceStatus = field(default_factory=ServiceStatus)
    present: bool = False


class MulticastRoute(JsonFact[RouteStatus]):
    """The route of a multicast network by the interface with an address."""

    def command(self, network: str, address: str, files: dict[str, str | None], units: list[str]) -> Program:
        """Ask for the route, and for `files` (path -> None) and `units` that set it."""
        replaced = {"route": {"network": network, "ours": units[0]}}
        service = asked("multicast", files, units, replaced)
        return Program("multicast_state", {"network": network, "address": address, "service": service})

    def parse(self, document: dict[str, Any]) -> RouteStatus:
        """Return the typed form."""
        if not document:
            return RouteStatus()
        return RouteStatus(service=parse_status(document["service"]), present=document["present"])
