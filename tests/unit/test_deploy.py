"""deploy.py as a whole: the order of its operations over the hosts, and that nothing in it shows a password."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import OperationError, StringCommand

from ox_deploy import secrets
from ox_deploy.deploys.chapters import CHAPTERS
from ox_deploy.errors import InputError
from ox_deploy.facts.hosts import HostState
from ox_deploy.questions.program import combined
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import run_of
from tests.unit.deployment import DEPLOY, Deployment, Step, prepared
from tests.unit.guide import Guide

HOSTS, DATABASE, FILESTORE, WEB, MULTICAST, OPENXCHANGE, CLUSTERING = (
    "Hosts",
    "Databases",
    "Distributed file storage",
    "Session load balancing",
    "Clustering: network configuration",
    "Configuring Open-Xchange Server",
    "Clustering Open-Xchange Server",
)
# Chapters in one entry may go on side by side.
ORDER = [{HOSTS}, {DATABASE}, {FILESTORE}, {WEB, MULTICAST}, {OPENXCHANGE}, {CLUSTERING}]
BARRIERS = {
    "Nothing stands in the way",
    "All hosts are prepared",
    "The database servers have the roles of the inventory",
    "The databases are done",
    "The filestore is done",
    "Databases, filestore and balancer are done",
    "All nodes are configured and registered",
}


def with_passwords(guide: Guide) -> list[str]:
    """Make the secrets file of the guide's cluster; return the passwords."""
    path = Path(guide.settings["secrets_file"])
    secrets.create(path, guide.settings["contexts"])
    with path.open("a") as file:
        file.write('"ox_repository_user" = "customer"\n"ox_repository_password" = "vendors-password"\n')
    return [line.split('"')[3] for line in path.read_text().splitlines() if "repository_user" not in line]


@pytest.fixture
def passwords(guide: Guide) -> list[str]:
    return with_passwords(guide)


def many(guide: Guide) -> None:
    guide.add("web", "web2", address="192.0.2.20")
    guide.add("filestore", "nas", address="192.0.2.30")
    for number in range(3, 7):
        guide.add("groupware", f"oxgw{number:02}", address=f"192.0.2.{100 + number}", route=f"OX-{number}")
        guide.add("db_slave", f"dbslave{number}", address=f"192.0.2.{120 + number}", server_id=number)


def shared(guide: Guide) -> None:
    """Everything on two hosts."""
    guide.groups = {
        "web": ["oxgw01"],
        "groupware": ["oxgw01", "oxgw02"],
        "db_master": ["oxgw01"],
        "db_slave": ["oxgw02"],
    }
    guide.hosts = {
        name: guide.hosts[name] | {"server_id": number} for number, name in enumerate(("oxgw01", "oxgw02"), 1)
    }


def without_slave(guide: Guide) -> None:
    del guide.groups["db_slave"], guide.hosts["dbslave"]


def external(guide: Guide) -> None:
    guide.set(external_filestore="nas.example.com:/export/ox")


CLUSTERS: dict[str, Callable[[Guide], object]] = {
    "guide": lambda guide: None,
    "many": many,
    "shared": shared,
    "without-slave": without_slave,
    "external-filestore": external,
    "reversed": lambda guide: guide.hosts.update(reversed(guide.hosts.items())),
}


@pytest.fixture(scope="module", params=CLUSTERS)
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, input_files: dict[str, Any]
) -> Iterator[Deployment]:
    """deploy.py, prepared once for each kind of cluster."""
    file = tmp_path_factory.mktemp("deploy") / "secrets.toml"
    guide = Guide.with_files(input_files | {"secrets_file": str(file)})
    with_passwords(guide)
    CLUSTERS[request.param](guide)
    with pytest.MonkeyPatch.context() as monkeypatch, prepared(monkeypatch, guide.inventory()) as deployment:
        yield deployment


def positions(steps: list[Step], matches: Callable[[Step], bool]) -> list[int]:
    return [number for number, step in enumerate(steps) if matches(step)]


def assert_before(steps: list[Step], first: Callable[[Step], bool], second: Callable[[Step], bool]) -> None:
    """All that matches first has to be over on all hosts before anything that matches second begins on one."""
    early, late = positions(steps, first), positions(steps, second)
    if early and late:
        assert max(early) < min(late), (steps[max(early)], steps[min(late)])


def is_in(chapters: set[str]) -> Callable[[Step], bool]:
    return lambda step: step.chapter in chapters


def begins(text: str) -> Callable[[Step], bool]:
    return lambda step: step.name.startswith(text)


def test_deploy_file_calls_all_chapters_in_their_order() -> None:
    """On a line each, or pyinfra would not know the order."""
    tree = ast.parse(Path(DEPLOY).read_text()).body
    imported = {alias.name: each.module for each in tree if isinstance(each, ast.ImportFrom) for alias in each.names}
    calls = [ast.unparse(each) for each in tree if isinstance(each, ast.Expr) and isinstance(each.value, ast.Call)]
    assert calls == [f"{chapter.__name__}()" for chapter in CHAPTERS]
    assert imported == {chapter.__name__: chapter.__module__ for chapter in CHAPTERS}


def test_chapters_follow_each_other_over_all_hosts(deployment: Deployment) -> None:
    steps = [step for step in deployment.steps() if step.name not in BARRIERS]
    for earlier, later in itertools.combinations(ORDER, 2):
        assert_before(steps, is_in(earlier), is_in(later))


def test_every_step_belongs_to_a_chapter_and_has_a_name(deployment: Deployment) -> None:
    steps = deployment.steps()
    assert {step.chapter for step in steps} == {name for names in ORDER for name in names}
    assert all(step.name for step in steps)


def test_every_host_passes_every_barrier(deployment: Deployment) -> None:
    for host in deployment.inventory:
        passed = [step.name for step in deployment.steps() if step.host == host.name and step.name in BARRIERS]
        assert sorted(passed) == sorted(BARRIERS)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # Nothing is changed before every host was looked at.
        ("Look for", "Nothing stands in the way"),
        ("Nothing stands in the way", "Names, user"),
        ("Names, user", "Look whether the master was switched"),
        # A cluster that was switched is not turned back.
        ("Look whether the master was switched", "Configure the server"),
        ("Look whether the master was switched", "Mount the filestore"),
        ("Look whether the master was switched", "Balance sessions"),
        ("Look whether the master was switched", "Configure the node"),
        ("Configure the server", "Replicate"),
        ("Make the accounts", "Create configdb"),
        ("Export the filestore", "Mount the filestore"),
        ("Mount the filestore", "Configure the node"),
        ("Route multicast", "Configure the node"),
        # What is registered has to be on the replica, too.
        ("Replicate", "Create configdb"),
        ("Configure the node", "Start the daemons"),
        ("Create configdb", "Start the daemons"),
        ("Start the daemons", "Restart the daemons"),
        ("Restart the daemons", "Wait until every node"),
    ],
)
def test_step_waits_for_what_it_builds_on(deployment: Deployment, first: str, second: str) -> None:
    assert_before(deployment.steps(), begins(first), begins(second))


def test_accounts_are_made_on_the_master_before_a_slave_logs_in_with_one(deployment: Deployment) -> None:
    master = deployment.inventory.get_group("db_master")[0].name
    assert_before(
        deployment.steps(),
        lambda step: step.name.startswith("Make the accounts") and step.host == master,
        begins("Replicate"),
    )


def test_slaves_get_their_servers_files_before_the_master(deployment: Deployment) -> None:
    master = deployment.inventory.get_group("db_master")[0].name
    *slaves, last = [step.host for step in deployment.steps() if step.name.startswith("Configure the server")]
    assert master not in slaves
    assert last == master


def test_each_host_is_given_its_part(guide: Guide, passwords: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with prepared(monkeypatch, guide.inventory()) as deployment:
        steps = [step for step in deployment.steps() if step.name not in BARRIERS]
    hosts = ["Look for what stands in the way", "Names, user, package sources, packages"]
    roles = "Look whether the master was switched"
    server = "Configure the server (bind address, server id, binary log)"
    accounts = "Make the accounts of the replicas and of Open-Xchange"
    node = [
        "Mount the filestore, now and at boot",
        "Route multicast to the cluster's interface",
        "Configure the node (oxinstaller)",
    ]
    daemons = [
        "Start the daemons",
        "Restart the daemons, one node after the other",
        "Wait until every node is connected with every other",
    ]
    register = "Create configdb; register server, filestore and databases; create contexts and users"
    before = "Let the server look at the others before it starts"
    export = "Export the filestore to the groupware nodes"
    parts = {
        "web": [*hosts, "Balance sessions over the groupware nodes"],
        "oxgw01": [*hosts, roles, *node, register, *daemons],
        "oxgw02": [*hosts, roles, *node, *daemons],
        "dbmaster": [*hosts, roles, server, accounts, before, export],
        "dbslave": [*hosts, roles, server, "Replicate from the master", accounts, before],
    }
    for host, part in parts.items():
        assert [step.name for step in steps if step.host == host] == part


LIMITS = [["web"], ["oxgw01", "oxgw02"], ["oxgw02"], ["dbmaster"], ["dbslave", "oxgw01"]]


def test_limited_run_has_the_same_steps_for_its_hosts(
    guide: Guide, passwords: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with prepared(monkeypatch, guide.inventory()) as whole:
        wanted = whole.steps()
    for limit in LIMITS:
        with prepared(monkeypatch, guide.inventory(), limit) as deployment:
            steps = deployment.steps()
        assert {step.host for step in steps} == set(limit)
        for host in limit:
            assert [step for step in steps if step.host == host] == [step for step in wanted if step.host == host]


def test_only_restarts_go_one_host_after_the_other(
    guide: Guide, passwords: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with prepared(monkeypatch, guide.inventory()) as deployment:
        serial = {
            next(iter(meta.names)).partition(" | ")[2]
            for meta in deployment.state.op_meta.values()
            if meta.global_arguments["_serial"]
        }
    assert serial == {
        "Configure the server (bind address, server id, binary log)",
        "Restart the daemons, one node after the other",
    }


def test_failed_host_ends_the_run(guide: Guide, passwords: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with prepared(monkeypatch, guide.inventory()) as deployment:
        deployment.state.config.reset_locked_state()
        assert deployment.state.config.FAIL_PERCENT == 0


def test_nothing_is_asked_while_the_deploy_is_read(
    guide: Guide, passwords: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # It would be the state before the run.
    with prepared(monkeypatch, guide.inventory()) as deployment:
        assert deployment.questions == []


# More than this the kernel does not take as one argument of a command.


def test_every_operation_asks_what_was_planned(deployment: Deployment) -> None:
    planned = {host.name: run_of(deployment.state).planned.get(host, []) for host in deployment.inventory}
    deployment.questions.clear()
    list(deployment.commands())
    asked: list[tuple[str, Question[Any]]] = [
        (host, Question(fact, **arguments))  # type: ignore[arg-type]  # all are JsonFacts
        for host, fact, arguments in deployment.questions
        if fact is not HostState
    ]
    assert len(asked) > len(planned)
    assert [question for host, question in asked if question not in planned[host]] == []


def test_what_is_asked_together_is_not_on_the_command_line(deployment: Deployment) -> None:
    for host in deployment.inventory:
        programs = [question.program for question in run_of(deployment.state).planned[host]]
        assert len(combined(programs).get_raw_value()) < 1000


def test_bare_hosts_have_a_plan_without_an_error(
    guide: Guide, passwords: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with prepared(monkeypatch, guide.inventory(), check=True) as deployment:
        changes = {host.name: deployment.state.get_meta_for_host(host).ops_change for host in deployment.inventory}
    assert min(changes.values()) > 0


def test_host_that_cannot_be_reached_ends_the_run_before_a_change(
    guide: Guide, passwords: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = pytest.raises(OperationError, match=r"^dbslave cannot be reached, and nothing was changed")
    with refused, prepared(monkeypatch, guide.inventory(), check=True, lost=["dbslave"]):
        pass


# --- secrets ---------------------------------------------------------------------------------------------


def test_missing_password_ends_the_run_before_a_change(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = pytest.raises(InputError, match="`mysql_replication` is missing")
    with missing, prepared(monkeypatch, guide.inventory()):
        pass


def test_no_password_is_shown_by_any_step(guide: Guide, passwords: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(passwords) == 6
    with prepared(monkeypatch, guide.inventory(), check=True) as deployment:
        commands = list(deployment.commands())
        shown = [text for _, command in commands for text in (str(command), repr(command), command.get_raw_value())]
        for meta in deployment.state.op_meta.values():
            shown += [*meta.names, *map(str, meta.args)]
        for question in deployment.questions:
            asked = StringCommand(question.fact().command(**question.arguments))
            shown += [asked.get_raw_value(), repr(question.arguments)]
        everything = "\n".join(shown)
    assert len(commands) > 20
    # What is shown with -v: facts with their arguments, operations with their names and commands.
    assert not [password for password in passwords if password in everything]
    sent = "".join(str(command.connector_arguments.get("_stdin")) for _, command in commands)
    assert {password for password in passwords if password in sent} >= {passwords[1], passwords[-1]}


def test_operation_with_a_password_has_a_name_of_its_own(deployment: Deployment) -> None:
    # Without one pyinfra shows its arguments in the title.
    assert all(not meta.args for meta in deployment.state.op_meta.values())
