"""Snapshots of clusters of any size, for the tests of what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import Literal

from ox_deploy.findings import Finding, Level
from ox_deploy.status.snapshot import HostView, Link, LinkKind, Snapshot

TIME = datetime(2026, 5, 1, 12, 0, 5, tzinfo=UTC)
EXTERNAL = "nas.example.com:/export/ox"


def finding(
    state: str = "replica stopped", host: str = "dbslave", level: Level = Level.CRITICAL, **texts: str
) -> Finding:
    """Return a finding; its texts say what they are unless they are given."""
    defaults = {"found": f"found {state}", "wanted": f"wanted {state}", "remedy": f"remedy {state}"}
    return Finding(state=state, host=host, level=level, **defaults | texts)


def host(name: str, *roles: str, level: Level = Level.FINE, reachable: bool = True) -> HostView:
    """Return a host with a detail and a version."""
    return HostView(
        name=name,
        address=f"192.0.2.{10 + len(name)}",
        roles=list(roles),
        level=level,
        reachable=reachable,
        details={"disk of /var/lib/mysql": "12 % of 40 GB"},
        versions={"mariadb-server": "1:10.11.11-0+deb12u1"},
    )


def link(
    kind: str,
    source: str,
    target: str,
    text: str,
    level: Level = Level.FINE,
) -> Link:
    """Return an arrow."""
    return Link(kind=LinkKind(kind), source=source, target=target, level=level, text=text)


def snapshot(
    hosts: Sequence[HostView], links: Sequence[Link] = (), findings: Sequence[Finding] = (), external: str = ""
) -> Snapshot:
    """Return a snapshot of hosts."""
    return Snapshot(
        time=TIME,
        web_name="groupware.example.com",
        product="ox6",
        hosts=list(hosts),
        links=list(links),
        findings=list(findings),
        external_filestore=external,
    )


def cluster(
    nodes: int = 2,
    slaves: int = 1,
    web: int = 1,
    filestore: Literal["master", "own", "external"] = "master",
    path: str = "/var/opt/filestore",
) -> Snapshot:
    """Return a healthy cluster with all arrows; the guide's, unless told otherwise."""
    balancers = ["web", *(f"web{number}" for number in range(2, web + 1))]
    names = [f"oxgw{number:02}" for number in range(1, nodes + 1)]
    replicas = ["dbslave", *(f"dbslave{number}" for number in range(2, slaves + 1))][:slaves]
    target = {"master": "dbmaster", "own": "files", "external": ""}[filestore]
    hosts = [
        *(host(name, "web") for name in balancers),
        *(host(name, "groupware") for name in names),
        host("dbmaster", "db_master", *(["filestore"] if filestore == "master" else [])),
        *(host(name, "db_slave") for name in replicas),
        *([host("files", "filestore")] if filestore == "own" else []),
    ]
    links = [
        *(
            link("balancing", one, name, f"route OX-{number}")
            for one in balancers
            for number, name in enumerate(names, 1)
        ),
        *(link("database", name, "dbmaster", "writes") for name in names),
        *(link("database", name, "dbslave", "reads") for name in names if slaves),
        *(link("nfs", name, target, path) for name in names),
        *(link("replication", "dbmaster", name, "lag 0 s") for name in replicas),
        *(link("caches", one, other, "3 of 3 caches") for one, other in combinations(names, 2)),
    ]
    return snapshot(hosts, links, external=EXTERNAL if filestore == "external" else "")


def one_host() -> Snapshot:
    """Return a cluster of one host that has all roles, and so no arrows."""
    return snapshot([host("all", "web", "groupware", "db_master", "filestore")])


def broken() -> Snapshot:
    """Return the guide's cluster with a node that cannot be reached and a replica that lags."""
    good = cluster()
    states = {"oxgw02": (Level.CRITICAL, False), "dbslave": (Level.WARNING, True)}
    hosts = [
        one.model_copy(update=dict(zip(("level", "reachable"), states.get(one.name, (one.level, True)), strict=True)))
        for one in good.hosts
    ]
    links = [one.model_copy(update={"level": _level(one)}) for one in good.links]
    findings = [
        finding("host unreachable", "oxgw02"),
        finding("replica lagging", "dbslave", Level.WARNING),
    ]
    return snapshot(hosts, links, findings)


def _level(one: Link) -> Level:
    if "oxgw02" in (one.source, one.target):
        return Level.CRITICAL
    return Level.WARNING if one.kind == "replication" else Level.FINE
