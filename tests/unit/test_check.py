"""What stands in the way of a run is said of all hosts at once: by the first step of a deploy, and by `check`."""

from __future__ import annotations

import os
import pwd
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, OperationError

from ox_deploy import preflight, secrets
from ox_deploy.clocks import ClockReading, apart
from ox_deploy.deploys.check import check
from ox_deploy.facts.answers import Answers
from ox_deploy.facts.hosts import HostState, HostStatus, Room
from ox_deploy.facts.mysql import Mysql
from ox_deploy.facts.nfs import FilestoreMount
from ox_deploy.facts.preconditions import OtherAddress, Preconditions, TakenPort, Unreachable
from ox_deploy.operations import hosts
from ox_deploy.ports import Port, Way, needed_ways, own_ports
from ox_deploy.preflight import Look, Subject
from ox_deploy.questions.bounds import NoAnswer
from ox_deploy.questions.run import run_of
from ox_deploy.remote.preconditions import names, ports
from tests.unit.deployment import prepared
from tests.unit.fakes import FakeHost, run
from tests.unit.guide import Guide
from tests.unit.programs import under_test

WRONG: dict[str, dict[str, Any]] = {"web": {"init": "tail"}, "dbmaster": {"addresses": ["192.0.2.99"]}}
SAID = [
    "web: process 1 is tail; it should be systemd; use a host that boots with systemd.",
    "dbmaster: inventory: `address` is 192.0.2.21, but the host has 192.0.2.99; correct the address, or the way the "
    "host is reached.",
    "dbslave cannot be reached, and nothing was changed; make it reachable, or leave it out with `--exclude`.",
]


@pytest.fixture
def with_secrets(guide: Guide) -> Guide:
    secrets.create(Path(guide.settings["secrets_file"]), guide.settings["contexts"])
    return guide


# --- all at once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("deploy", "looks_for_changes"), [(None, True), (check, True), (check, False)])
def test_all_hosts_say_at_once_what_is_wrong(
    with_secrets: Guide, monkeypatch: pytest.MonkeyPatch, deploy: Any, looks_for_changes: bool
) -> None:
    """With -y a deploy asks while it executes: see the next one."""
    refused = pytest.raises(OperationError)
    options: Any = {"check": looks_for_changes, "deploy": deploy, "lost": ["dbslave"], "states": WRONG}
    with refused as said, prepared(monkeypatch, with_secrets.inventory(), **options):
        pass
    assert str(said.value).splitlines() == SAID


def test_all_hosts_say_at_once_what_is_wrong_while_operations_are_executed() -> None:
    subjects = {name: subject(name, address) for name, address in (("a", "192.0.2.1"), ("b", "192.0.2.2"))}
    subjects["c"] = subject("c", "192.0.2.3")
    looked = {
        "a": FakeHost({HostState: HostStatus(init="systemd", addresses=["192.0.2.1"])}, name="a"),
        "b": FakeHost({HostState: HostStatus(init="tail", addresses=["192.0.2.2"])}, name="b"),
        "c": FakeHost({HostState: NoAnswer("c no longer answers (it is frozen)", "check that host")}, name="c"),
    }
    for name, host in looked.items():
        run(hosts.check, host, subject=subjects[name])
    cleared: dict[str, Any] = {"subjects": subjects, "lost": ["d"]}
    for host in looked.values():
        with pytest.raises(OperationError) as said:
            run(hosts.stop_on_obstacles, host, **cleared)
        assert str(said.value).splitlines() == [
            "b: process 1 is tail; it should be systemd; use a host that boots with systemd.",
            "c no longer answers (it is frozen); check that host.",
            "d cannot be reached, and nothing was changed; make it reachable, or leave it out with `--exclude`.",
        ]


def test_all_hosts_say_it_at_once_also_where_they_have_their_turns_one_by_one(
    with_secrets: Guide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.deployment.Config", partial(Config, PARALLEL=1))
    refused = pytest.raises(OperationError)
    with refused as said, prepared(monkeypatch, with_secrets.inventory(), check=True, states=WRONG):
        pass
    assert str(said.value).splitlines() == SAID[:2]


def subject(name: str, address: str) -> Subject:
    return Subject(name, frozenset({"groupware"}), address, "", 1, 1, ())


def test_each_host_is_asked_once_for_a_plan(with_secrets: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    with prepared(monkeypatch, with_secrets.inventory(), check=True) as deployment:
        asked = [question.host for question in deployment.questions if question.fact is HostState]
    assert sorted(asked) == sorted(with_secrets.hosts)


# --- the command ------------------------------------------------------------------------------------------


def test_check_changes_nothing_and_asks_in_one_round(
    with_secrets: Guide, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = answer_all(monkeypatch, {})
    with prepared(monkeypatch, with_secrets.inventory(), deploy=check) as deployment:
        assert [step.name for step in deployment.steps()] == ["Nothing stands in the way"] * 5
    assert sorted(host for host, _ in asked) == sorted(with_secrets.hosts)
    # With everything that the chapters are going to ask, and without a lease.
    arguments = dict(asked)["oxgw01"]
    assert "taking" not in arguments
    assert arguments["wait"] == 0
    assert len(arguments["questions"]) > 5
    assert capsys.readouterr().err.count("Nothing stands in the way on 5 hosts.") == 1


def test_check_looks_at_the_hosts_also_where_an_input_is_wrong(
    guide: Guide, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "web.pem").write_text("no certificate")
    guide.set(web_certificate=str(tmp_path / "web.pem"))
    refused = pytest.raises(OperationError)
    with refused as said, prepared(monkeypatch, guide.inventory(), deploy=check, states=WRONG):
        pass
    lines = str(said.value).splitlines()
    assert any("web_certificate" in line for line in lines)
    assert any("`mysql_replication` is missing" in line for line in lines)
    assert any(line.startswith("web: process 1") for line in lines)


def test_check_says_what_a_later_chapter_would_refuse(with_secrets: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "nas:/x /var/opt/filestore nfs rw 0 0"
    service = {"files": {}, "units": {}, "pending": False}
    mount = {"mount": None, "bare": None, "foreign_line": line, "foreign_unit": None, "real": "", "answers": True}
    answer_all(monkeypatch, {("oxgw02", FilestoreMount): {**mount, "service": service}})
    refused = pytest.raises(OperationError)
    with refused as said, prepared(monkeypatch, with_secrets.inventory(), deploy=check):
        pass
    (only,) = str(said.value).splitlines()
    assert only.startswith(f"oxgw02: /etc/fstab: /var/opt/filestore has the line `{line}`")


RUNNING: dict[str, Any] = {
    "state": "running",
    "version": "10.11.19-MariaDB-0+deb12u1-log",
    "binary_log": {"file": "b.000003", "position": 4, "first_file": "b.000002", "complete": False, "files": []},
}


def test_check_says_what_would_end_the_seeding_that_a_later_chapter_asks_for(
    with_secrets: Guide, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = {**RUNNING, "variables": {"server_id": "1", "read_only": "OFF"}, "databases": ["wiki"]}
    slave = {**RUNNING, "variables": {"server_id": "2", "read_only": "ON"}}
    documents = {("dbmaster", Mysql): master, ("dbslave", Mysql): slave}
    view = {"what": "view", "name": "wiki.v", "error": "no such table (1146)"}
    found = {"databases": [{"name": "wiki", "tables": 1, "rows": 1, "bytes": 1}], "broken": [view]}
    surveys = {"dbmaster": [master, found, {}], "dbslave": [slave, {}, {}]}
    asked = answer_all(monkeypatch, documents, surveys)
    refused = pytest.raises(OperationError)
    with refused as said, prepared(monkeypatch, with_secrets.inventory(), deploy=check):
        pass
    assert [line for line in str(said.value).splitlines() if "seed" in line] == [
        "dbslave: dbslave is empty while the master has data that its binary log no longer holds; nothing was changed: "
        "seed it (`pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave=dbslave`).",
        "dbslave: a seeding, which this replica needs, would be refused: the view wiki.v on dbmaster cannot be dumped "
        "(no such table (1146)); fix or drop it, or seed with `--data seed_method=physical`.",
    ]
    # Only those two are asked once more.
    assert sorted(host for host, _ in asked) == sorted([*with_secrets.hosts, "dbmaster", "dbslave"])


def answer_all(
    monkeypatch: pytest.MonkeyPatch,
    documents: Mapping[tuple[str, Any], Any],
    later: Mapping[str, list[Any]] | None = None,
) -> list[tuple[str, Any]]:
    """Let hosts answer all questions at once: by these, and that nothing is there; return what they are asked.

    + later: what some of them answer, by their names, if they are asked once more
    """
    asked = []

    def answer(_: Any, host: Any, fact: Any, **arguments: Any) -> HostStatus | list[Any]:
        asked.append((host.name, arguments))
        if fact is Answers and later:
            return later[host.name]
        assert fact is HostState
        status = HostStatus(system="debian 12", init="systemd", addresses=[host.data.address])
        status.answers = [documents.get((host.name, question.fact), {}) for question in arguments["questions"]]
        return status

    monkeypatch.setattr("tests.unit.deployment.Deployment.answer", answer)
    return asked


# --- what is wrong ----------------------------------------------------------------------------------------


FINE = HostStatus(
    system="debian 12",
    init="systemd",
    architecture="amd64",
    time=1000,
    rooms=[Room(5 * 10**9, 1, "/"), Room(5 * 10**9, 1, "/var")],
    packages={"python3": "3"},
)
PACKAGES = ("python3",)


def look(
    name: str, preconditions: Preconditions | None = None, packages: tuple[str, ...] = PACKAGES, **status: Any
) -> Look:
    roles = frozenset({"web": {"web"}, "master": {"database"}, "slave": {"database"}}.get(name, {"groupware"}))
    addresses = {"web": "192.0.2.10", "oxgw01": "192.0.2.11"}
    address = addresses.get(name, "192.0.2.99")
    seen = replace(FINE, addresses=[address], **status)
    return Look(Subject(name, roles, address, "", 1, 1, packages), seen, preconditions or Preconditions())


def found(*looks: Look) -> list[tuple[str, str]]:
    everything = preflight.find({one.subject.name: one for one in looks if one.subject})
    return [(name, sentence) for name, sentences in everything.items() for sentence in sentences]


WEB_PORT: dict[str, Any] = {"number": 443, "protocol": "tcp", "units": ["apache2"], "program": "nginx"}
FINDINGS: dict[str, tuple[Look, str]] = {
    "port": (
        look("web", Preconditions(taken_ports=[TakenPort(**WEB_PORT, unit="nginx")])),
        "port 443 (tcp) is taken by nginx (unit nginx); it should be free for apache2; stop that program for good, or "
        "let it listen on another port.",
    ),
    "port-without-unit": (
        look("web", Preconditions(taken_ports=[TakenPort(**WEB_PORT, unit=None)])),
        "port 443 (tcp) is taken by nginx (of no unit); it should be free for apache2; stop that program for good, or "
        "let it listen on another port.",
    ),
    "name": (
        look("web", Preconditions(names=[OtherAddress(name="oxgw01", address="10.0.0.1", wanted="192.0.2.11")])),
        "/etc/hosts: oxgw01 is 10.0.0.1 in a line that is not ox-deploy's; it should be 192.0.2.11; remove that name "
        "from the line, or correct `address` in the inventory.",
    ),
    "names-rewritten": (
        look("web", Preconditions(names_rewritten_by="/etc/cloud/cloud.cfg")),
        "/etc/cloud/cloud.cfg: `manage_etc_hosts` lets cloud-init write /etc/hosts anew at each boot, and the names of "
        "the cluster would be lost; set it to `false` there, and in the user data of this machine if it comes from "
        "there.",
    ),
    "unreachable": (
        look(
            "web", Preconditions(unreachable=[Unreachable(address="192.0.2.11", port=8009, error="No route to host")])
        ),
        "oxgw01 does not answer this host at 192.0.2.11 port 8009 (No route to host); it should, if only by a refusal "
        "while nothing listens there; open that port in the firewalls between the two, and check the routes.",
    ),
    "old": (
        look("web", system="debian 11"),
        "its system is debian 11; it should be Debian 12 or later, or Ubuntu 24.04 or later; upgrade it, or use "
        "another host.",
    ),
    "old-ubuntu": (
        look("web", system="ubuntu 22.04"),
        "its system is ubuntu 22.04; it should be Debian 12 or later, or Ubuntu 24.04 or later; upgrade it, or use "
        "another host.",
    ),
    "other-system": (
        look("web", system="almalinux 9.4"),
        "its system is almalinux 9.4; it should be Debian 12 or later, or Ubuntu 24.04 or later; upgrade it, or use "
        "another host.",
    ),
    "architecture": (
        look("web", architecture="armhf"),
        "its architecture is armhf; it should be amd64 or arm64; use another host.",
    ),
    "room": (
        look("web", packages=("python3", "apache2"), rooms=[Room(999_999_999, 1, "/"), Room(9, 1, "/var")]),
        "/ has 999 MB free; it should have at least 1000 MB for packages and data; make room there, or give it a "
        "larger disk.",
    ),
    "clock": (
        look("web", time=1006),
        "its clock is 6 s ahead of the others; all should be the same within 5 s; set it, and keep it right "
        "with a time service (`timedatectl` shows whether there is one).",
    ),
}


@pytest.mark.parametrize(("wrong", "sentence"), FINDINGS.values(), ids=FINDINGS)
def test_what_is_wrong_with_a_host_is_one_sentence(wrong: Look, sentence: str) -> None:
    assert found(wrong, look("oxgw01"), look("oxgw02")) == [("web", sentence)]


def test_hosts_of_one_role_have_one_architecture() -> None:
    sentence = (
        "its architecture is arm64, but master in the same role has amd64; hosts of one role should have the same; use "
        "another host."
    )
    assert found(look("web", architecture="arm64"), look("master"), look("slave", architecture="arm64")) == [
        ("slave", sentence)
    ]


HEALTHY: dict[str, tuple[Look, ...]] = {
    "bare": (look("web", None), look("oxgw01")),
    "not asked": (Look(subject("web", "")), look("oxgw01")),
    "unknown": (look("web", system="", architecture="", time=0, rooms=[]), look("oxgw01")),
    "newer": (look("web", system="debian 13"), look("oxgw01", system="ubuntu 24.10")),
    "not released": (look("web", system="debian "),),
    "full but complete": (look("web", rooms=[Room(1, 1, "/")]),),
    "five seconds": (look("web", time=1005), look("oxgw01"), look("oxgw02")),
    "asked late": (
        replace(look("web", time=1600), between=(600, 600)),
        look("oxgw01"),
        look("oxgw02"),
    ),
    "waited long": (replace(look("web", time=1100), between=(0, 1200)), look("oxgw01"), look("oxgw02")),
}


@pytest.mark.parametrize("looks", HEALTHY.values(), ids=HEALTHY)
def test_nothing_is_said_of_hosts_that_will_do(looks: tuple[Look, ...]) -> None:
    assert found(*looks) == []


def test_clock_of_most_hosts_is_the_right_one() -> None:
    readings = {
        name: ClockReading(1000 + seconds, 500, 501) for name, seconds in {"a": 0, "b": 1, "c": -20, "d": 2}.items()
    }
    assert apart(readings) == {"c": -20}
    assert apart({}) == {}


# --- what each host needs ---------------------------------------------------------------------------------


def test_each_host_has_ports_of_its_roles(guide: Guide) -> None:
    cluster = guide.build()
    wanted = {node.name: list(own_ports(cluster, node, "open-xchange")) for node in cluster.nodes}
    assert wanted["web"] == [Port(80, ("apache2",)), Port(443, ("apache2",))]
    numbers = sorted((port.protocol, port.number) for port in wanted["oxgw01"])
    tcp = [("tcp", number) for number in (1099, 8009, 57461, 57462, 58849)]
    assert numbers == [*tcp, ("udp", 6780), ("udp", 6781)]
    assert wanted["dbmaster"] == [Port(3306, ("mariadb",), "192.0.2.21"), Port(2049, ("nfs-server",))]
    assert wanted["dbslave"] == [Port(3306, ("mariadb",), "192.0.2.22")]


def test_each_host_needs_those_it_connects_to(guide: Guide) -> None:
    cluster = guide.set(nfs_options="rw,port=2050").build()
    needed = {
        node.name: needed_ways(cluster, node, [other for other in cluster.nodes if other != node])
        for node in cluster.nodes
    }
    assert needed["web"] == (Way(("192.0.2.11", "192.0.2.12"), (8009,)),)
    assert needed["oxgw01"] == (
        Way(("192.0.2.21", "192.0.2.22"), (3306,)),
        Way(("192.0.2.12",), (57462, 57461, 58849)),
        Way(("192.0.2.21",), (2050,)),
    )
    assert (needed["dbmaster"], needed["dbslave"]) == ((), (Way(("192.0.2.21",), (3306,)),))


def test_nobody_tries_a_host_that_is_left_out(with_secrets: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    with prepared(monkeypatch, with_secrets.inventory(), limit=["web", "oxgw02"]) as deployment:
        wanted = run_of(deployment.state).subjects["web"].wanted
    assert wanted
    assert wanted.needed == (Way(("192.0.2.12",), (8009,)),)


# --- the programs -----------------------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterator[tuple[str, int]]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()


def port(number: int, **other: Any) -> dict[str, Any]:
    return {"number": number, "protocol": "tcp", "address": None, "units": ["apache2"], "user": ""} | other


def test_port_of_another_program_is_told(listening: tuple[str, int]) -> None:
    (taken,) = ports.taken_ports([port(listening[1])])
    assert TakenPort.model_validate(taken).program == Path("/proc/self/comm").read_text().strip()
    assert ports.taken_ports([port(listening[1], address="192.0.2.1"), port(listening[1], protocol="udp")]) == []


def test_port_of_a_wanted_program_is_no_finding(listening: tuple[str, int]) -> None:
    program = under_test(ports)
    program.unit_of = lambda process: "apache2"
    assert program.taken_ports([port(listening[1])]) == []
    program.unit_of = lambda process: None
    assert program.taken_ports([port(listening[1], user=pwd.getpwuid(os.getuid())[0])]) == []
    # systemd holds it until somebody comes, or a process that is out of sight.
    program.holders_of_sockets = lambda: {inode: ["1"] for _, _, inode in program.bound("tcp")}
    assert program.taken_ports([port(listening[1])]) == []
    program.holders_of_sockets = lambda: {}
    assert program.taken_ports([port(listening[1])]) == []


def test_port_for_multicast_is_looked_at() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 0))
        (taken,) = ports.taken_ports([port(other.getsockname()[1], protocol="udp", address="192.0.2.1")])
    assert taken["protocol"] == "udp"


def test_answer_and_refusal_are_fine_and_silence_is_not(listening: tuple[str, int]) -> None:
    program = under_test(ports)
    program.SECONDS, program.time = 0.2, time
    with socket.socket() as full:
        # Nobody takes what comes: one connection waits, and the kernel answers no other.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        silent = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(silent)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            refusing = free.getsockname()
        ways = [{"addresses": [address], "ports": [number]} for address, number in (listening, refusing, silent)]
        told = {"address": silent[0], "port": silent[1], "error": "no answer within 0.2 s"}
        program.sockets = lambda state: []
        assert program.unreachable(ways) == [told]
        # Where there is a connection it does not try.
        program.sockets = lambda state: [(1, *silent)]
        assert program.unreachable(ways) == []
        for each in waiting:
            each.close()


def test_error_of_the_way_is_told() -> None:
    assert ports.error_of(113) == "No route to host"
    assert [ports.error_of(code) for code in (0, 111, 104)] == [""] * 3


WANTED = {"oxgw01": "192.0.2.11", "db.example.com": "192.0.2.21"}


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("127.0.0.1 localhost\n127.0.1.1 web.example.com web\n", []),
        ("192.0.2.11 OXGW01\n", []),
        ("fd00::11 oxgw01\n# 10.0.0.1 oxgw01\n", []),
        ("# BEGIN ox-deploy cluster\n10.0.0.9 oxgw01\n# END ox-deploy cluster\n", []),
        ("10.0.0.1 x oxGW01 # it was here\n", [("oxgw01", "10.0.0.1", "192.0.2.11")]),
        ("127.0.0.1 localhost db.example.com", [("db.example.com", "127.0.0.1", "192.0.2.21")]),
        ("", []),
    ],
)
def test_other_addresses_of_names_are_found(tmp_path: Path, text: str, others: list[tuple[str, str, str]]) -> None:
    program = under_test(names)
    program.HOSTS = str(tmp_path / "hosts")
    (tmp_path / "hosts").write_text(text)
    assert [tuple(found.values()) for found in program.other_addresses(WANTED)] == others


CLOUD = {
    "not said": (["preserve_hostname: false\n"], None),
    "true": (["manage_etc_hosts: true\n"], 0),
    "template": (["x: 1\nmanage_etc_hosts: 'template'\n"], 0),
    "own name only": (["manage_etc_hosts: localhost\n"], None),
    "false": (["manage_etc_hosts: false\n"], None),
    "comment": (["# manage_etc_hosts: true\n"], None),
    "taken back": (["manage_etc_hosts: true\n", "manage_etc_hosts: false\n"], None),
    "said later": (["manage_etc_hosts: false\n", "manage_etc_hosts: True\n"], 1),
}


def test_user_data_count_more_than_what_the_provider_says(tmp_path: Path) -> None:
    program = under_test(names)
    program.CLOUD_FILES = tuple(f"{tmp_path}{path}" for path in names.CLOUD_FILES)
    program.CLOUD_INIT = str(tmp_path)
    said: list[str | None] = []
    # As cloud-init 22.4.2 of Debian 12 calls them.
    for name, value in (("vendor-cloud-config", "true"), ("cloud-config", "false"), ("cloud-config", "true")):
        file = tmp_path / f"var/lib/cloud/instance/{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#cloud-config\n\n---\nmanage_etc_hosts: {value}\n...\n")
        said.append(program.rewritten_by())
    assert [each and Path(each).stem for each in said] == ["vendor-cloud-config", None, "cloud-config"]


@pytest.mark.parametrize(("texts", "number"), CLOUD.values(), ids=CLOUD)
def test_cloud_init_that_writes_the_names_is_found(tmp_path: Path, texts: list[str], number: int | None) -> None:
    program = under_test(names)
    files = [tmp_path / str(position) for position in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    program.CLOUD_FILES = (str(tmp_path / "[0-9]"),)
    program.CLOUD_INIT, program.DISABLED = str(tmp_path), str(tmp_path / "off")
    assert program.rewritten_by() == (None if number is None else str(files[number]))
    (tmp_path / "off").touch()
    assert program.rewritten_by() is None
