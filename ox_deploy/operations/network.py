"""The route by which nodes find each other, for products whose discovery is by multicast."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.network import MulticastRoute, RouteStatus
from ox_deploy.operations.service import ManagedFile, changes, configure_job, idle_units, take_over
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import order
from ox_deploy.questions.question import Question


def _question(network: str, address: str, unit: str, file: ManagedFile) -> Question[RouteStatus]:
    return Question(MulticastRoute, network=network, address=address, files={file.path: None}, units=[unit])


@prefetch.asks(_question)
@operation()
def multicast_route(network: str, address: str, unit: str, file: ManagedFile) -> Generator[StringCommand, None, None]:
    """
    Route a multicast network to the interface with the host's address, now and at boot.

    + network: the network, such as 224.0.0.0/8
    + address: the host's address in the cluster
    + unit: systemd unit that sets the route
    + file: the file of that unit

    Idempotent. A route that somebody took away while the unit counts as active is set again.
    Guide: Clustering Open-Xchange Server, network configuration.
    """
    status = ask(host, _question(network, address, unit, file))
    # systemd may not know yet of what an earlier run wrote before it died.
    written = [file] if status.service.pending else changes([file], status.service)
    parts = take_over(status.service)
    if written or parts or idle_units([unit], status.service) or not status.present:
        again = [] if written or status.present else [["systemctl", "restart", unit]]
        yield order("service_configure", configure_job("multicast", written, [unit], commands=again, hand_made=parts))
    else:
        host.noop(f"{network} is routed")
