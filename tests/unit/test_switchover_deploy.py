"""Switchover and failover as a whole: who does what, in which order, and what is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ox_deploy import secrets
from ox_deploy.deploys.switchover import failover, registered, switchover
from ox_deploy.errors import InputError
from ox_deploy.topologies.master_slaves.deploys import database
from ox_deploy.topologies.master_slaves.deploys.switchover import _switch
from ox_deploy.topologies.master_slaves.roles import slaves_of, switched
from tests.unit.deployment import Step, prepared
from tests.unit.guide import Guide

BARRIERS = {
    "All hosts have answered",
    "All hosts are ready",
    "All replicas have been compared",
    "The new master has everything",
    "The new master is open",
    "The databases have their new roles",
    "All nodes are configured",
    "Open-Xchange knows the new master",
}
LOOK, ROLE, FOLLOW, NODE = (
    "Look at all hosts",
    "Write the server's configuration for its new role",
    "Replicate from the master",
    "Configure the node (oxinstaller)",
)
REACH = "Let the replicas catch up with the master"
SERVER, SAY, CONFIGDB, START = (
    "Check the database server",
    "Say what is left to do",
    "Change the addresses in configdb",
    "Start the daemons",
)
STOP, OPEN = "Stop writes on dbmaster", "Open dbslave for writes"
DAEMONS = [
    START,
    "Restart the daemons, one node after the other",
    "Wait until every node is connected with every other",
]


@pytest.fixture
def passwords(guide: Guide) -> list[str]:
    path = Path(guide.settings["secrets_file"])
    secrets.create(path, guide.settings["contexts"])
    return [line.split('"')[3] for line in path.read_text().splitlines()]


@pytest.fixture
def run(guide: Guide, passwords: list[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def start(deploy: Any = switchover, limit: list[str] | None = None, lost: Sequence[str] = (), **data: Any) -> Any:
        inventory = guide.inventory({"new_master": "dbslave"} | data)
        return prepared(monkeypatch, inventory, limit, deploy=deploy, lost=lost)

    return start


def parts(steps: list[Step]) -> dict[str, list[str]]:
    own = [step for step in steps if step.name not in BARRIERS]
    return {host: [step.name for step in own if step.host == host] for host in dict.fromkeys(step.host for step in own)}


def test_each_host_is_given_its_part(run: Callable[..., Any]) -> None:
    with run() as deployment:
        found = parts(deployment.steps())
    assert found == {
        "web": [LOOK],
        "oxgw01": [LOOK, "Check the groupware node", NODE, CONFIGDB, *DAEMONS],
        "oxgw02": [LOOK, "Check the groupware node", NODE, *DAEMONS],
        "dbmaster": [LOOK, SERVER, STOP, ROLE, FOLLOW],
        "dbslave": [LOOK, REACH, SERVER, OPEN, ROLE, SAY],
    }


def test_dead_master_is_given_no_part_and_its_host_a_fence(run: Callable[..., Any]) -> None:
    with run(failover) as deployment:
        found = parts(deployment.steps())
    assert found["dbmaster"] == [LOOK, "Look whether its server is dead", "Let its server start read-only"]
    assert found["dbslave"] == [LOOK, "Compare what the replicas have", OPEN, ROLE, SAY]
    others = [name for name in found if name != "dbmaster"]
    with run(failover, others) as deployment:
        without = parts(deployment.steps())
    del found["dbmaster"]
    assert without == found


def test_all_slaves_are_compared_and_follow(guide: Guide, run: Callable[..., Any]) -> None:
    guide.add("db_slave", "dbslave2", address="192.0.2.23", server_id=3)
    with run(failover) as deployment:
        assert parts(deployment.steps())["dbslave2"] == [LOOK, "Compare what the replicas have", ROLE, FOLLOW]


ORDER = [LOOK, REACH, SERVER, STOP, OPEN, ROLE, FOLLOW, NODE, CONFIGDB, *DAEMONS]


@pytest.mark.parametrize("reverse", [False, True])
def test_no_host_goes_on_before_all_have_done_what_it_needs(
    guide: Guide, run: Callable[..., Any], reverse: bool
) -> None:
    guide.add("db_slave", "dbslave2", address="192.0.2.23", server_id=3)
    if reverse:
        guide.hosts = dict(reversed(guide.hosts.items()))
    with run() as deployment:
        found = [step.name for step in deployment.steps()]
    last = {name: max(number for number, step in enumerate(found) if step == name) for name in ORDER}
    for first, second in itertools.pairwise(ORDER):
        assert last[first] < found.index(second), (first, second)
    # While writes are down, nothing else is done.
    between = found[last[STOP] + 1 : found.index(OPEN)]
    assert set(between) == {"The new master has everything"}


def test_no_server_is_restarted(run: Callable[..., Any]) -> None:
    with run() as deployment:
        deployment.state.is_executing = True
        jobs = [
            str(command.connector_arguments["_stdin"]) for step, command in deployment.commands() if step.name == ROLE
        ]
    assert len(jobs) == 2
    assert all('"units": []' in job for job in jobs)
    assert [("read_only = OFF" in job, "read_only = ON" in job) for job in jobs] == [(False, True), (True, False)]


@pytest.mark.parametrize(("settings", "ca"), [({}, ""), ({"replication_tls": True}, database.TLS.trusted)])
def test_servers_reach_each_other_as_slaves_reach_their_master(
    guide: Guide, passwords: list[str], settings: dict[str, Any], ca: str
) -> None:
    cluster = guide.set(**settings).build()
    assert _switch(cluster, slaves_of(cluster)[0]).ca == ca


def test_databases_keep_their_names_and_change_their_addresses(guide: Guide, passwords: list[str]) -> None:
    before = guide.build()
    new = slaves_of(before)[0]
    turned = [(one.name, one.address) for one in registered(switched(before, new))]
    assert turned == [("oxdatabase", "192.0.2.22"), ("oxdatabase_slave", "192.0.2.21")]
    alone = [(one.name, one.address) for one in registered(switched(before, new, lost=True))]
    assert alone == [("oxdatabase", "192.0.2.22"), ("oxdatabase_slave", "192.0.2.22")]


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"new_master": None}, "Say which replica becomes the master: .* The replicas are dbslave."),
    "the-master": ({"new_master": "dbmaster"}, "dbmaster is in `db_master` already"),
    "a-stranger": (
        {"new_master": "oxgw01"},
        "`new_master` is oxgw01, which is not a replica; the replicas are dbslave.",
    ),
}


@pytest.mark.parametrize(("data", "sentence"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("deploy", [switchover, failover])
def test_new_master_has_to_be_a_slave(
    run: Callable[..., Any], deploy: Any, data: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence), run(deploy, **data):
        pass


def test_lag_has_to_be_a_number(run: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="`max_lag` is 'long'; it should be a number of seconds"), run(max_lag="long"):
        pass
    with run(max_lag=30):
        pass


def test_dead_master_may_be_unreachable_for_a_failover_only(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []
    for kind, deploy in (("switchover", switchover), ("failover", failover)):
        for name in ("dbmaster", "oxgw01"):
            try:
                with run(deploy, lost=[name]):
                    pass
            except InputError as error:
                assert f"{name} cannot be reached, and nothing was changed" in str(error)
                refused.append((kind, name))
    assert refused == [("switchover", "dbmaster"), ("switchover", "oxgw01"), ("failover", "oxgw01")]


def test_what_is_left_to_do_is_told_once(run: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    with run() as deployment:
        deployment.state.is_executing = True
        list(deployment.commands())
    said = capsys.readouterr().err
    assert said.count("Change inventory.py before the next deploy") == 1
    assert "add a group `filestore` with the line of dbmaster" in said


@pytest.mark.parametrize("deploy", [switchover, failover])
def test_no_password_is_shown(run: Callable[..., Any], passwords: list[str], deploy: Any) -> None:
    with run(deploy) as deployment:
        deployment.state.is_executing = True
        commands = list(deployment.commands())
        shown = [text for _, command in commands for text in (str(command), repr(command), command.get_raw_value())]
        for meta in deployment.state.op_meta.values():
            shown += [*meta.names, *map(str, meta.args)]
        for question in deployment.questions:
            shown += [repr(question.arguments)]
    assert not [password for password in passwords if password in "\n".join(shown)]
    sent = "".join(str(command.connector_arguments.get("_stdin")) for _, command in commands)
    assert passwords[0] in sent or deploy is failover
