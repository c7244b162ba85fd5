"""`verify` as a whole: who makes which check, in which order, and that it is never green by mistake."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from ox_deploy import secrets
from ox_deploy.deploys.verify import _login, verify
from ox_deploy.questions.run import run_of
from tests.unit.deployment import Deployment, Step, prepared
from tests.unit.guide import Guide, context

DATABASES = {
    "Every replica follows the master",
    "Every server has the settings that the cluster needs",
    "Only the master can be written",
    "Every server has the same accounts, rights and passwords",
    "A new database reaches every replica",
    "A dropped database is gone from every replica",
}
NODES = {
    "The filestore is mounted by NFS from its server",
    "Every node writes into the filestore",
    "Every node sees the files of all nodes",
    "Every node removes the file of another, and it is gone for all",
    "Multicast leaves by the cluster's interface",
    "The caches of all nodes are connected",
    "Every node has the cluster's server name and its own route",
}
WEB = {
    "The balancer has the routes of the nodes",
    "Plain HTTP is redirected to HTTPS",
    "HTTPS shows the deployed certificate",
    "Logins spread over the nodes by their load factors",
    "A session stays on its node",
}
ONCE = {"configdb holds what the inventory has, and no more"}
BEGIN, END = "Every host takes part", "Report"
ALONE = "No other run is at work"


def many(guide: Guide) -> None:
    guide.add("web", "web2", address="192.0.2.20")
    guide.add("filestore", "nas", address="192.0.2.30")
    guide.add("groupware", "oxgw03", address="192.0.2.13", route="OX-3")
    guide.add("db_slave", "dbslave2", address="192.0.2.23", server_id=3)


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


CLUSTERS: dict[str, Callable[[Guide], object]] = {
    "guide": lambda guide: None,
    "many": many,
    "shared": shared,
    "without-slave": without_slave,
    "reversed": lambda guide: guide.hosts.update(reversed(guide.hosts.items())),
}


@pytest.fixture
def passwords(guide: Guide) -> list[str]:
    path = Path(guide.settings["secrets_file"])
    secrets.create(path, guide.settings["contexts"])
    return [line.split('"')[3] for line in path.read_text().splitlines()]


@pytest.fixture
def verification(
    guide: Guide, passwords: list[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AbstractContextManager[Deployment]]:
    return lambda **options: prepared(monkeypatch, guide.inventory(), deploy=verify, **options)


@pytest.mark.parametrize("title", sorted({BEGIN} | DATABASES | NODES | WEB | ONCE))
def test_check_is_documented(title: str) -> None:
    assert f"| {title} |" in (Path(__file__).parents[2] / "docs" / "verify.md").read_text()


def positions(steps: list[Step], name: str) -> list[int]:
    return [number for number, step in enumerate(steps) if step.name == name]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_each_check_is_made_on_the_hosts_that_it_is_for(guide: Guide, cluster: str, verification: Any) -> None:
    CLUSTERS[cluster](guide)
    groups = guide.groups
    databases = groups["db_master"] + groups.get("db_slave", [])
    wanted = {
        (name, host)
        for names, hosts in [
            (DATABASES, databases),
            (NODES, groups["groupware"]),
            (WEB, groups["web"]),
            (ONCE, groups["groupware"][:1]),
            ({BEGIN, ALONE, END}, list(guide.hosts)),
        ]
        for name in names
        for host in hosts
    }
    with verification() as deployment:
        steps = deployment.steps()
    assert {step.chapter for step in steps} == {"Verify"}
    assert {(step.name, step.host) for step in steps} == wanted
    assert len(steps) == len(wanted)


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_no_host_goes_on_before_all_have_done_what_it_needs(guide: Guide, cluster: str, verification: Any) -> None:
    CLUSTERS[cluster](guide)
    with verification() as deployment:
        steps = deployment.steps()
    for order in (
        [BEGIN, "A new database reaches every replica", "A dropped database is gone from every replica", END],
        [
            BEGIN,
            "Every node writes into the filestore",
            "Every node sees the files of all nodes",
            "Every node removes the file of another, and it is gone for all",
            END,
        ],
        [BEGIN, "Logins spread over the nodes by their load factors", "A session stays on its node", END],
    ):
        for first, second in itertools.pairwise(order):
            assert max(positions(steps, first)) < min(positions(steps, second))


def test_bare_host_is_asked_and_nothing_but_the_beginning_is_green(verification: Any, capsys: Any) -> None:
    failing = []
    with verification() as deployment:
        deployment.state.is_executing = True
        for step, command in deployment.commands():
            failing.append((step.name, step.host))
            assert command.get_raw_value().endswith("exit 1")
    assert failing == [(END, name) for name in ("web", "oxgw01", "oxgw02", "dbmaster", "dbslave")]
    records = run_of(deployment.state).records
    green = {record.check for record in records if not record.verdict.findings and not record.verdict.skipped}
    assert green == {BEGIN}
    assert {record.check for record in records} == {BEGIN} | DATABASES | NODES | WEB | ONCE
    assert capsys.readouterr().err.count("The guide's tests") == 1


def test_nothing_is_asked_while_pyinfra_only_looks(verification: Any) -> None:
    with verification(check=True) as deployment:
        assert deployment.questions == []


def test_nothing_that_is_asked_or_shown_holds_a_password(passwords: list[str], verification: Any, capsys: Any) -> None:
    with verification() as deployment:
        deployment.state.is_executing = True
        shown = [command.get_raw_value() for _, command in deployment.commands()]
        for question in deployment.questions:
            shown += [repr(question), question.fact().command(**question.arguments).get_raw_value()]
        for name in deployment.state.op_meta.values():
            shown += [*name.names, *map(str, name.args)]
    text = "".join(shown) + repr(run_of(deployment.state).records) + capsys.readouterr().err
    assert not [password for password in passwords if password in text]
    assert run_of(deployment.state).id[:12] in text


def test_first_user_of_group_data_logs_in(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = [context(1, "first", users=()), context(2, "second", users=("anna", "bert"))]
    guide.set(contexts=contexts)
    path = Path(guide.settings["secrets_file"])
    secrets.create(path, contexts)
    login = _login(guide.build())
    assert login is not None
    assert login.name == "anna@second"
    assert f'"context_2_anna" = "{login.password.reveal()}"' in path.read_text()


def test_nobody_logs_in_if_there_is_no_user(guide: Guide, passwords: list[str]) -> None:
    assert _login(guide.set(contexts=[context(users=())]).build()) is None
