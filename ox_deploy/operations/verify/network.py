"""Guide: Test the network settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from ox_deploy.facts.openxchange import CachePeers
from ox_deploy.facts.verify import KernelRoute, RouteToGroup, RouteTrial
from ox_deploy.findings import Finding
from ox_deploy.operations.verify.checks import Verdict, answer_or_fail, check, problem, trial_or_fail
from ox_deploy.questions.question import Question


def _route_question(group: str, address: str) -> Question[RouteTrial]:
    return Question(RouteToGroup, group=group, address=address)


@check("Multicast leaves by the cluster's interface", asks=_route_question)
def multicast(group: str, address: str) -> Verdict:
    """
    Check the kernel's route for the discovery of the other nodes.

    + group: the multicast address by which the nodes find each other
    + address: the node's address, whose interface should be the one
    """
    trial = trial_or_fail(answer_or_fail(_route_question(group, address)))
    route = trial.route
    found = f"{route.network} by {route.interface}" if route else f"no route to {group}"
    if _is_multicast(route) and route and route.interface == trial.interface:
        return Verdict(found)
    interface = trial.interface or f"the interface with {address}"
    wanted = f"a route for multicast to {group} by {interface}"
    remedy = "run `systemctl restart ox-multicast-route`, or deploy"
    return Verdict(findings=[problem("no multicast route", found, wanted, remedy)])


def _is_multicast(route: KernelRoute | None) -> bool:
    """Tell whether a route is for multicast; a default route covers that, too, but is for whatever is not local."""
    return route is not None and ipaddress.IPv4Network(route.network).is_multicast


def _caches_question(ports: Mapping[str, int], **_: Any) -> Question[dict[str, list[int]]]:
    return Question(CachePeers, ports=list(ports.values()))


@check("The caches of all nodes are connected", asks=_caches_question)
def caches(peers: Mapping[str, str], ports: Mapping[str, int], remedy: str) -> Verdict:
    """
    Check that each cache service is connected with every other node.

    + peers: addresses of the other nodes by their name
    + ports: TCP ports of the caches by service
    + remedy: what to do where a connection is missing
    """
    found = answer_or_fail(_caches_question(ports))
    findings = [finding for name in peers for finding in _alone(name, found.get(peers[name], []), ports, remedy)]
    return Verdict(f"connected with {', '.join(peers) or 'nobody, there is no other node'}", findings)


def _alone(name: str, connected: list[int], ports: Mapping[str, int], remedy: str) -> list[Finding]:
    missing = [f"{service} ({port})" for service, port in ports.items() if port not in connected]
    if not missing:
        return []
    found = f"no connection to {name} for: {', '.join(missing)}"
    return [problem("caches not connected", found, "each cache is connected with each other node", remedy)]
