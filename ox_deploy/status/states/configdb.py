"""States of configdb as the registrar sees it."""

from __future__ import annotations

from collections.abc import Iterator

from ox_deploy.findings import Level
from ox_deploy.operations.openxchange.wanted import ConfigdbLayout
from ox_deploy.remote.configdb.state import RegistrationState
from ox_deploy.status.states.base import Observation, Problem, state


def remedy_with(configdb: ConfigdbLayout) -> str:
    """Return what to do about a registrar that cannot ask the configdb of a product."""
    return (
        "run the deploy, which fixes this node's account on the writer, and host and account in the node's "
        f"{configdb.file}; if it still cannot ask, check whether a firewall blocks the connection"
    )


@state("configdb not reachable", Level.CRITICAL)
def configdb_not_reachable(observed: Observation) -> Iterator[Problem]:
    """Find out whether the registrar cannot ask configdb with the account and the write host of its configuration."""
    writer, port = observed.cluster.writer, observed.cluster.settings.mysql_port
    for seen in observed.answering([observed.cluster.registrar]):
        # Before Open-Xchange is installed there is no account to ask with.
        if seen.configuration and not seen.configuration.installed:
            continue
        if seen.registration and seen.registration.state == RegistrationState.NO_ACCESS:
            yield Problem(
                seen.node,
                f"configdb cannot be asked with this node's configuration ({seen.registration.error})",
                f"its account reaches configdb on {writer.name} ({writer.address}:{port}) from {seen.node.address}",
                about=writer.name,
                remedy=remedy_with(observed.cluster.product.configdb),
            )


@state(
    "configdb damaged",
    Level.CRITICAL,
    "restore configdb from a backup; a deploy changes nothing in it until then",
)
def configdb_damaged(observed: Observation) -> Iterator[Problem]:
    """Find out whether configdb lacks tables, but holds registrations."""
    writer = observed.cluster.writer.name
    for seen in observed.answering([observed.cluster.registrar]):
        if seen.registration and seen.registration.state == RegistrationState.DAMAGED:
            yield Problem(
                seen.node,
                f"configdb on {writer} lacks the tables {seen.registration.error}, but holds registrations",
                "configdb has all of its tables",
                about=writer,
            )
