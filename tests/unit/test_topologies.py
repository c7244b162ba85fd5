"""Another topology than a master with replicas: database chapter, status and verify know only its Protocol."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import pytest
from pyinfra import host
from pyinfra.api import StringCommand, operation

import ox_deploy
from ox_deploy import cluster as clusters
from ox_deploy import secrets
from ox_deploy.cluster import Cluster, Node
from ox_deploy.consistency import NodeLike
from ox_deploy.deploys import inputs
from ox_deploy.deploys.openxchange import wanted_registration
from ox_deploy.deploys.verify import verify
from ox_deploy.errors import InputError
from ox_deploy.facts.openxchange import Pool, Registration
from ox_deploy.facts.secret import Fingerprint
from ox_deploy.findings import Level
from ox_deploy.operations.verify.checks import Verdict, check
from ox_deploy.ports import Port, Way, needed_ways, own_ports, way_to
from ox_deploy.questions.run import current_run
from ox_deploy.remote.configdb.state import RegistrationState
from ox_deploy.status.seen import Seen
from ox_deploy.status.snapshot import LinkKind
from ox_deploy.status.states.base import Observation, Problem, state
from ox_deploy.status.states.find import find
from ox_deploy.status.view import view
from ox_deploy.topologies import known
from ox_deploy.topologies.base import Causes, DatabaseCluster, LinkStates, StateFinder
from tests.unit.deployment import prepared
from tests.unit.guide import Guide

RING = "db_ring"


class RingRoles:
    """Each server replicates to the next one; the first takes writes, the last is read from."""

    groups = (RING,)
    replication_sources = (RING,)
    words: ClassVar = {RING: "database ring"}
    reader_rule = "the last host of `db_ring` is read"

    def check(self, nodes: Sequence[NodeLike]) -> None:
        if sum(RING in node.groups for node in nodes) < 2:
            raise InputError("inventory.py: a ring needs two servers.")

    def servers(self, cluster: Cluster) -> tuple[Node, ...]:
        return cluster.group(RING)

    def clusters(self, cluster: Cluster) -> Sequence[DatabaseCluster]:
        first, *_, last = cluster.group(RING)
        return [DatabaseCluster(first, last, "ring_begin", "ring_end"), DatabaseCluster(last, last, "other_ring", "")]


@operation()
def look_at_ring() -> Generator[StringCommand, None, None]:
    current_run().notes(RingNotes).looked.add(host.name)
    host.noop("it is a ring")
    yield from ()


@dataclass
class RingNotes:
    """What the ring notes for an operation that follows."""

    looked: set[str] = field(default_factory=set)


@operation()
def join_ring(behind: str) -> Generator[StringCommand, None, None]:
    assert host.name in current_run().notes(RingNotes).looked
    yield StringCommand("join", behind)


@check("The ring is closed")
def closed() -> Verdict:
    return Verdict("closed")


@state("ring open", Level.CRITICAL, "close it")
def ring_open(observed: Observation) -> Iterator[Problem]:
    for seen in observed.answering(observed.cluster.databases):
        if seen.expected == "open":
            yield Problem(seen.node, "it is open", "it is closed")


@state("ring slow", Level.WARNING, "wait")
def ring_slow(observed: Observation) -> Iterator[Problem]:
    for seen in observed.answering(observed.cluster.databases):
        if seen.expected == "open":
            yield Problem(seen.node, "it is slow", "it is fast")


class Ring:
    """The smallest topology that there is."""

    roles = RingRoles()
    run_options = frozenset({"slow_ring"})
    states: Sequence[StateFinder] = (ring_open, ring_slow)
    causes = Causes(
        hides={(ring_open, ring_slow): "host"},
        hides_drift=[((ring_open,), "host", (join_ring,))],
    )
    links = {LinkKind.REPLICATION: LinkStates(source={ring_open: "open"})}  # noqa: RUF012 - it is not changed

    def own_ports(self, cluster: Cluster, node: Node) -> Iterator[Port]:
        yield Port(4000, ("ring",), node.address)

    def needed_ways(self, cluster: Cluster, node: Node, others: Sequence[Node]) -> Iterator[Way]:
        yield way_to([other for other in others if other in cluster.databases], 4000)

    def check_passwords(self, cluster: Cluster, passwords: secrets.Secrets) -> None:
        if cluster.settings.server_name == "unsaid":
            raise InputError("secrets.toml: the ring has no password.")

    def check_roles(self, cluster: Cluster) -> None:
        look_at_ring(name="Look at the ring")

    def obstacles_ahead(self, cluster: Cluster, node: Node) -> list[str]:
        return []

    def set_up(self, cluster: Cluster, node: Node) -> None:
        servers = cluster.databases
        join_ring(name="Join the ring", behind=servers[servers.index(node) - 1].name)

    def verify(self, cluster: Cluster, node: Node, run: str) -> None:
        closed()

    def expected(self, cluster: Cluster, node: Node) -> str:
        return "closed"

    def details(self, observed: Observation, seen: Seen) -> Iterator[tuple[str, str]]:
        yield "ring", str(seen.expected)

    def arrows(self, observed: Observation) -> Iterator[tuple[str, str, str]]:
        servers = observed.cluster.databases
        for number, server in enumerate(servers):
            yield servers[number - 1].name, server.name, "next"


@pytest.fixture
def ring(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> Guide:
    """The guide's cluster with a ring of database servers."""
    topology = Ring()
    monkeypatch.setattr(known, "TOPOLOGIES", [*known.TOPOLOGIES, topology])
    del guide.groups["db_master"], guide.groups["db_slave"]
    for old, new in (("dbmaster", "ring1"), ("dbslave", "ring2")):
        guide.hosts[new] = guide.hosts.pop(old)
    guide.groups[RING] = ["ring1", "ring2"]
    secrets.create(Path(guide.settings["secrets_file"]), guide.settings["contexts"])
    return guide


def cluster_of(guide: Guide) -> Cluster:
    return clusters.cluster_of(guide.inventory())


def test_cluster_has_the_roles_of_its_groups(ring: Guide) -> None:
    cluster = cluster_of(ring)
    assert [node.name for node in cluster.databases] == ["ring1", "ring2"]
    assert (cluster.writer.name, cluster.reader.name) == ("ring1", "ring2")
    assert cluster.filestore == cluster.writer
    ring.groups[RING].pop()
    current_run().cluster = None
    with pytest.raises(InputError, match="a ring needs two servers"):
        cluster_of(ring)


def test_topology_says_what_may_be_asked_for_one_run(ring: Guide) -> None:
    assert clusters.cluster_of(ring.inventory({"slow_ring": True})).topology.roles.groups == (RING,)
    current_run().cluster = None
    with pytest.raises(InputError, match="`new_master` is not a setting"):
        clusters.cluster_of(ring.inventory({"new_master": "ring2"}))


def test_ports_are_those_of_the_topology(ring: Guide) -> None:
    cluster = cluster_of(ring)
    web, node, first, last = (one for one in cluster.nodes if one.name in ("web", "oxgw01", "ring1", "ring2"))
    assert Port(4000, ("ring",), last.address) in own_ports(cluster, last, "somebody")
    assert not [port for one in (web, node) for port in own_ports(cluster, one, "somebody") if port.number == 4000]
    for one in (node, first):
        assert Way((last.address,), (4000,)) in needed_ways(cluster, one, [last])


def test_passwords_are_judged_by_the_topology(ring: Guide) -> None:
    cluster = cluster_of(ring.set(server_name="unsaid"))
    assert "secrets.toml: the ring has no password." in inputs.find_faults(cluster)


def test_database_chapter_calls_the_operations_of_the_topology(ring: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    with prepared(monkeypatch, ring.inventory()) as deployment:
        steps = [step for step in deployment.steps() if step.chapter == "Databases"]
        joined = [command.get_raw_value() for step, command in deployment.commands() if step.name == "Join the ring"]
    assert {step.host for step in steps if step.name == "Look at the ring"} == {"oxgw01", "oxgw02", "ring1", "ring2"}
    assert [step.host for step in steps if step.name == "Join the ring"] == ["ring1", "ring2"]
    assert joined == ["join ring2", "join ring1"]
    assert len({step.name for step in steps}) == 4, "and two barriers"
    assert not any(re.search("master|replica", step.name.lower()) for step in steps)


def test_all_database_clusters_are_registered(ring: Guide) -> None:
    cluster = cluster_of(ring)
    wanted = wanted_registration(cluster)
    first, last = (node.address for node in cluster.databases)
    assert [(one.name, one.address, one.writer) for one in wanted.databases] == [
        ("ring_begin", first, None),
        ("ring_end", last, "ring_begin"),
        ("other_ring", last, None),
    ]
    password = Fingerprint(salt="ab", digest="")
    moved = Pool(id=7, name="other_ring", url=f"jdbc:mysql://{first}/", login="openexchange", password=password)
    obstacle = wanted.obstacle(Registration(state=RegistrationState.COMPLETE, pools=[moved])) or ""
    assert "correct the inventory (the last host of `db_ring` is read)" in obstacle


def test_verify_makes_the_checks_of_the_topology(ring: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    with prepared(monkeypatch, ring.inventory(), deploy=verify) as verification:
        steps = verification.steps()
    assert {step.host for step in steps if step.name == "The ring is closed"} == {"ring1", "ring2"}
    assert not any(re.search("master|replica", step.name.lower()) for step in steps)


def seen_of(cluster: Cluster, *opened: str) -> list[Seen]:
    return [
        Seen(node, expected="open" if node.name in opened else "closed")
        if node in cluster.databases
        else Seen(node, unreachable="it is not asked here")
        for node in cluster.nodes
    ]


def test_status_finds_the_states_of_the_topology(ring: Guide) -> None:
    cluster = cluster_of(ring)
    found = {(one.state, one.host) for one in find(cluster, seen_of(cluster, "ring2")) if one.host == "ring2"}
    assert found == {("ring open", "ring2")}, "which hides that it is slow"
    assert not [one for one in find(cluster, seen_of(cluster)) if one.state.startswith("ring")]


def test_status_shows_the_ring(ring: Guide) -> None:
    cluster = cluster_of(ring)
    seen = seen_of(cluster, "ring2")
    snapshot = view(cluster, seen, find(cluster, seen), datetime.now(UTC))
    links = {(link.source, link.target): link.text for link in snapshot.links if link.kind == "replication"}
    assert links == {("ring1", "ring2"): "next", ("ring2", "ring1"): "next, open"}
    writes = {link.target for link in snapshot.links if link.kind == "database" and link.text.startswith("writes")}
    assert writes == {"ring1"}
    (shown,) = (one for one in snapshot.hosts if one.name == "ring2")
    assert shown.details["ring"] == "open"
    assert shown.roles == [RING]


@pytest.mark.parametrize("name", ["seed.seed", "switchover.switchover", "switchover.failover", "verify.verify"])
def test_commands_keep_the_names_by_which_users_call_them(name: str) -> None:
    module, command = name.split(".")
    assert callable(getattr(import_module(f"ox_deploy.deploys.{module}"), command))


# --- nothing else knows a topology ------------------------------------------------------------------------

ROOT = Path(ox_deploy.__file__).parent
OF_ONE = re.compile(
    r"\bfrom ox_deploy\.topologies(?:\.(?!base\b|known\b)\S+)? import|\bfrom ox_deploy\.remote\.master_slaves\b|"
    r"\"master_slaves\.\w+\""
)
OWN = ("topologies/", "remote/master_slaves/")
# Seeding, switchover and failover, by the names that users call.
COMMANDS = ["deploys/seed.py", "deploys/switchover.py"]
# A server's replication is asked, and its role looked at once more, in the session that does the rest.
IN_ONE_SESSION = ["facts/mysql.py", "remote/mysql/run.py", "remote/mysql/state.py"]


def test_general_modules_import_nothing_of_a_topology() -> None:
    modules = {path.relative_to(ROOT).as_posix(): path for path in ROOT.rglob("*.py")}
    general = {name: path for name, path in modules.items() if not name.startswith(OWN)}
    found = sorted(name for name, path in general.items() if OF_ONE.search(path.read_text()))
    assert found == [*COMMANDS, *IN_ONE_SESSION]
