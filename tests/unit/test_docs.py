"""docs/status.md says what the code says: every named state, and which one hides which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ox_deploy.facts.mysql import MysqlStatus, ServerState
from ox_deploy.mysql.not_ready import why_not
from ox_deploy.products import PRODUCTS
from ox_deploy.secrets import Secret
from ox_deploy.status.states import configdb, hosts
from ox_deploy.status.states.base import State
from ox_deploy.status.states.causes import HIDES
from ox_deploy.status.states.find import states_of
from ox_deploy.topologies.base import StateFinder
from ox_deploy.topologies.master_slaves.diagnosis import Diagnosis
from ox_deploy.topologies.master_slaves.situations import Situation
from ox_deploy.topologies.master_slaves.source import Source
from ox_deploy.topologies.master_slaves.status import SlaveStateFinder
from ox_deploy.topologies.master_slaves.topology import MASTER_SLAVES
from tests.unit.programs import MARIADB

STATES = states_of(MASTER_SLAVES)
TEXT = (Path(__file__).parents[2] / "docs" / "status.md").read_text()


def rows(columns: Sequence[str]) -> list[list[str]]:
    """Return the rows of all tables with these columns."""
    title = f"| {' | '.join(columns)} |"
    tables = [table for table in TEXT.split("\n\n") if table.startswith(title)]
    return [line.strip("| ").split(" | ") for table in tables for line in table.splitlines()[2:]]


def test_every_state_is_documented_with_its_level_and_remedy() -> None:
    documented = rows(["State", "Level", "What it means", "Remedy"])
    shown = [(name, level.partition(",")[0], remedy) for name, level, _, remedy in documented]
    wanted = [
        row for state in STATES for row in (of_slave(state) if isinstance(state, SlaveStateFinder) else [of(state)])
    ]
    assert [row[:2] for row in shown] == [row[:2] for row in wanted]
    # A state without one remedy has that of the host's state, of the server's, or of the product.
    assert [remedy for _, _, remedy in shown if remedy] == [
        right or remedy for (*_, right), (*_, remedy) in zip(wanted, shown, strict=True)
    ]


def of(state: StateFinder) -> tuple[str, str, str]:
    assert isinstance(state, State)
    return state.name, state.level.name.lower(), state.remedy


def of_slave(finder: SlaveStateFinder) -> list[tuple[str, str, str]]:
    """Return all that has this name, with what is said of it to a server of MariaDB."""
    source, server = Source("dbmaster", "192.0.2.21", 3306, "replication", Secret("x")), MysqlStatus(version=MARIADB)
    return [
        (finder.name, situation.level.name.lower(), Diagnosis(situation, "dbslave", server, None, source).remedy)
        for situation in Situation
        if situation.state is finder.state
    ]


def test_remedies_of_a_server_that_cannot_be_asked_are_documented() -> None:
    told = [why_not(MysqlStatus(state=state)) for state in ServerState]
    documented = {name: remedy for name, _, _, remedy in rows(["State", "Level", "What it means", "Remedy"])}
    assert all(f"It {why[0]}: {why[1]}" in documented["database server down"] for why in told if why)
    assert hosts.host_unreachable.remedy in documented["master unreachable"]


def test_remedies_that_a_product_has_are_documented() -> None:
    documented = {name: remedy for name, _, _, remedy in rows(["State", "Level", "What it means", "Remedy"])}
    product = PRODUCTS["ox6"]
    assert documented["configdb not reachable"] == configdb.remedy_with(product.configdb)
    assert documented["node alone"] == product.node_alone_remedy


def test_every_cause_is_documented_with_what_it_hides() -> None:
    names = [state.name for state in STATES]
    shown = {(cause, name) for cause, hidden in rows(["Cause", "Leaves out"]) for name in names if name in hidden}
    hides = [*HIDES, *MASTER_SLAVES.causes.hides]
    assert shown == {(cause.name, consequence.name) for cause, consequence in hides}
