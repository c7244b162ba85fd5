"""What a status shows: hosts with their details, arrows, and how bad they are."""

from __future__ import annotations

import pytest

from ox_deploy.cluster import Cluster
from ox_deploy.facts.mysql import MysqlStatus, ServerState
from ox_deploy.facts.nfs import Mount
from ox_deploy.findings import Level
from ox_deploy.status.snapshot import HostView, Link, Snapshot
from ox_deploy.status.states.find import find
from ox_deploy.status.view import view
from tests.unit.guide import Guide
from tests.unit.seeing import (
    ADMIN,
    ADMIN_PORT,
    GROUPWARE,
    NOW,
    Break,
    SeenHosts,
    add_nodes,
    change_daemon,
    change_member,
    change_mount,
    change_replica,
    change_server,
    cut,
    drop_member,
    healthy,
    lose,
    stop_daemon,
    stop_route,
    stop_unit,
)

FINE, WARNING, CRITICAL = Level.FINE, Level.WARNING, Level.CRITICAL


def shown(cluster: Cluster, hosts: SeenHosts | None = None) -> Snapshot:
    seen = list((healthy(cluster) if hosts is None else hosts).values())
    return view(cluster, seen, find(cluster, seen), NOW)


def after(guide: Guide, broken: Break) -> Snapshot:
    cluster = guide.build()
    hosts = healthy(cluster)
    broken(hosts)
    return shown(cluster, hosts)


def host(snapshot: Snapshot, name: str) -> HostView:
    return next(host for host in snapshot.hosts if host.name == name)


def arrows(snapshot: Snapshot, kind: str) -> list[tuple[str, str, str]]:
    return [(link.source, link.target, link.text) for link in snapshot.links if link.kind == kind]


def bad(snapshot: Snapshot) -> dict[tuple[str, str, str], Level]:
    def key(link: Link) -> tuple[str, str, str]:
        return link.kind, link.source, link.target

    return {key(link): link.level for link in snapshot.links if link.level}


# --- the whole -------------------------------------------------------------------------------------------


def test_snapshot_says_when_and_of_what(guide: Guide) -> None:
    snapshot = shown(guide.build())
    assert snapshot.time == NOW
    assert (snapshot.web_name, snapshot.product) == ("groupware.example.com", "ox6")
    assert (snapshot.findings, snapshot.level, snapshot.external_filestore) == ([], FINE, "")
    assert Snapshot.model_validate_json(snapshot.model_dump_json()) == snapshot


def test_hosts_are_in_the_order_of_the_inventory(guide: Guide) -> None:
    snapshot = shown(guide.build())
    assert [(host.name, host.address, host.roles) for host in snapshot.hosts] == [
        ("web", "192.0.2.10", ["web"]),
        ("oxgw01", "192.0.2.11", ["groupware"]),
        ("oxgw02", "192.0.2.12", ["groupware"]),
        ("dbmaster", "192.0.2.21", ["db_master", "filestore"]),
        ("dbslave", "192.0.2.22", ["db_slave"]),
    ]
    assert all(host.reachable and host.level is FINE for host in snapshot.hosts)
    assert host(snapshot, "web").versions == {"python3": "3.11.2-1+b1"}


def test_findings_are_kept_and_make_their_host_as_bad(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_replica(hosts["dbslave"], seconds_behind=100)
    stop_unit(hosts["web"], "apache2")
    change_member(hosts["web"], 0, disabled=True)
    snapshot = shown(cluster, hosts)
    assert [finding.state for finding in snapshot.findings] == [
        "balancer down",
        "replica lagging",
        "balancer member disabled",
    ]
    assert {host.name: host.level for host in snapshot.hosts} == {
        "web": CRITICAL,
        "oxgw01": FINE,
        "oxgw02": FINE,
        "dbmaster": FINE,
        "dbslave": WARNING,
    }


# --- details ---------------------------------------------------------------------------------------------


def test_details_of_each_kind_of_host(guide: Guide) -> None:
    snapshot = shown(guide.build())
    common = {"system": "debian 12", "disk of /": "25 % of 40 GB"}
    assert host(snapshot, "web").details == common | {
        "certificate": "until 2026-09-09",
        "member oxgw01": "route OX-1, load factor 50",
        "member oxgw02": "route OX-2, load factor 50",
    }
    assert host(snapshot, "oxgw01").details == common | {
        "filestore": "192.0.2.21:/var/opt/filestore (nfs4) at /var/opt/filestore",
        "open-xchange-admin": "runs, port 1099",
        "open-xchange-groupware": "runs, port 8009",
        "cache peers": "1 of 1",
    }
    assert host(snapshot, "dbmaster").details == common | {
        "database": "10.11.6-MariaDB, master",
        "binary log": "mysql-bin.000003:1234",
        "filestore": "exports /var/opt/filestore",
    }
    assert host(snapshot, "dbslave").details == common | {
        "database": "10.11.6-MariaDB, replica",
        "replication": "lag 0 s, at mysql-bin.000003:1234 of 192.0.2.21",
    }
    assert all(list(host.details)[-1] == "system" for host in snapshot.hosts)


@pytest.mark.parametrize(
    ("broken", "name", "label", "text"),
    [
        (lambda p: lose(p, "web"), "web", "unreachable", "no answer within 8 seconds"),
        (lambda p: change_member(p["web"], 0, disabled=True), "web", "member oxgw01", "load factor 50, disabled"),
        (lambda p: change_member(p["web"], 1, error=True), "web", "member oxgw02", "load factor 50, in error"),
        (lambda p: setattr(p["web"], "health", None), "web", "certificate", "unreadable"),
        (lambda p: change_mount(p["oxgw01"], mount=None), "oxgw01", "filestore", "nothing at /var/opt/filestore"),
        (lambda p: stop_daemon(p, "oxgw01", ADMIN), "oxgw01", "open-xchange-admin", "not active"),
        (lambda p: change_daemon(p["oxgw01"], ADMIN, listening=False), "oxgw01", ADMIN, "runs, but not on port 1099"),
        (lambda p: setattr(p["oxgw01"], "daemons", None), "oxgw01", GROUPWARE, "not active"),
        (lambda p: cut(p, "oxgw01", "oxgw02"), "oxgw02", "cache peers", "0 of 1"),
        (lambda p: setattr(p["dbmaster"], "mysql", None), "dbmaster", "database", "unknown, master"),
        (
            lambda p: setattr(p["dbslave"], "mysql", MysqlStatus(state=ServerState.NOT_RUNNING)),
            "dbslave",
            "database",
            "not running, replica",
        ),
        (lambda p: change_server(p["dbslave"], replica=None), "dbslave", "replication", "not set up"),
        (lambda p: change_replica(p["dbslave"], seconds_behind=None), "dbslave", "replication", "stopped, at mysql"),
    ],
)
def test_details_say_what_is_not_well(guide: Guide, broken: Break, name: str, label: str, text: str) -> None:
    assert text in host(after(guide, broken), name).details[label]


def test_unreachable_host_has_nothing_else_to_show(guide: Guide) -> None:
    lost = host(after(guide, lambda p: lose(p, "oxgw01")), "oxgw01")
    assert (lost.reachable, lost.level, list(lost.details), lost.versions) == (False, CRITICAL, ["unreachable"], {})


# --- arrows ----------------------------------------------------------------------------------------------


def test_arrows_of_the_guides_cluster(guide: Guide) -> None:
    snapshot = shown(guide.build())
    assert arrows(snapshot, "balancing") == [("web", "oxgw01", "route OX-1"), ("web", "oxgw02", "route OX-2")]
    assert arrows(snapshot, "database") == [
        ("oxgw01", "dbmaster", "writes"),
        ("oxgw01", "dbslave", "reads"),
        ("oxgw02", "dbmaster", "writes"),
        ("oxgw02", "dbslave", "reads"),
    ]
    assert arrows(snapshot, "replication") == [("dbmaster", "dbslave", "lag 0 s")]
    assert arrows(snapshot, "nfs") == [
        ("oxgw01", "dbmaster", "mounted"),
        ("oxgw02", "dbmaster", "mounted"),
    ]
    assert arrows(snapshot, "caches") == [("oxgw01", "oxgw02", "3 of 3 caches")]
    assert len(snapshot.links) == 10
    assert bad(snapshot) == {}


def test_arrows_of_a_large_cluster(guide: Guide) -> None:
    add_nodes(guide, 20)
    guide.add("web", "web2", address="192.0.2.13")
    guide.add("db_slave", "dbslave2", address="192.0.2.23", server_id=3)
    guide.add("filestore", "nas", address="192.0.2.30")
    snapshot = shown(guide.build())
    assert len(arrows(snapshot, "balancing")) == 40
    # Open-Xchange reads from the first replica only.
    assert {target for _, target, _ in arrows(snapshot, "database")} == {"dbmaster", "dbslave"}
    assert [target for _, target, _ in arrows(snapshot, "replication")] == ["dbslave", "dbslave2"]
    assert {target for _, target, _ in arrows(snapshot, "nfs")} == {"nas"}
    pairs = {frozenset(pair[:2]) for pair in arrows(snapshot, "caches")}
    assert len(pairs) == len(arrows(snapshot, "caches")) == 190
    assert host(snapshot, "nas").roles == ["filestore"]
    assert host(snapshot, "oxgw20").details["cache peers"] == "19 of 19"


def test_cluster_without_slave_reads_where_it_writes(guide: Guide) -> None:
    del guide.groups["db_slave"], guide.hosts["dbslave"]
    snapshot = shown(guide.build())
    assert arrows(snapshot, "database") == [("oxgw01", "dbmaster", "writes"), ("oxgw02", "dbmaster", "writes")]
    assert arrows(snapshot, "replication") == []


def test_external_filestore_is_no_host(guide: Guide) -> None:
    guide.set(external_filestore="nas.example.com:/export/ox")
    cluster = guide.build()
    hosts = healthy(cluster)
    change_mount(hosts["oxgw02"], answers=False)
    snapshot = shown(cluster, hosts)
    assert snapshot.external_filestore == "nas.example.com:/export/ox"
    assert arrows(snapshot, "nfs") == [("oxgw01", "", "mounted"), ("oxgw02", "", "does not answer")]
    assert bad(snapshot) == {("nfs", "oxgw02", ""): CRITICAL}
    assert host(snapshot, "dbmaster").roles == ["db_master"]


def test_host_that_uses_itself_has_no_arrow_for_that(guide: Guide) -> None:
    guide.groups["web"] = ["oxgw01"]
    guide.groups["filestore"] = ["oxgw01"]
    del guide.hosts["web"]
    snapshot = shown(guide.build())
    assert arrows(snapshot, "balancing") == [("oxgw01", "oxgw02", "route OX-2")]
    assert arrows(snapshot, "nfs") == [("oxgw02", "oxgw01", "mounted")]
    assert host(snapshot, "oxgw01").roles == ["web", "groupware", "filestore"]


WEB_1, WEB_2 = ("balancing", "web", "oxgw01"), ("balancing", "web", "oxgw02")
WRITES_1, WRITES_2 = ("database", "oxgw01", "dbmaster"), ("database", "oxgw02", "dbmaster")
READS_1, READS_2 = ("database", "oxgw01", "dbslave"), ("database", "oxgw02", "dbslave")
REPLICATION = ("replication", "dbmaster", "dbslave")
NFS_1, NFS_2 = ("nfs", "oxgw01", "dbmaster"), ("nfs", "oxgw02", "dbmaster")
CACHES = ("caches", "oxgw01", "oxgw02")


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (lambda p: stop_unit(p["web"], "apache2"), {WEB_1: CRITICAL, WEB_2: CRITICAL}),
        (lambda p: change_member(p["web"], 1, disabled=True), {WEB_2: WARNING}),
        (lambda p: change_member(p["web"], 0, error=True), {WEB_1: CRITICAL}),
        (lambda p: change_member(p["web"], 0, route="OX-9"), {WEB_1: CRITICAL}),
        (lambda p: stop_daemon(p, "oxgw02", GROUPWARE), {WEB_2: CRITICAL, CACHES: CRITICAL}),
        (lambda p: stop_daemon(p, "oxgw02", ADMIN), {CACHES: CRITICAL}),
        (lambda p: cut(p, "oxgw01", "oxgw02", ADMIN_PORT), {CACHES: WARNING}),
        (lambda p: cut(p, "oxgw01", "oxgw02"), {CACHES: CRITICAL}),
        (lambda p: stop_route(p["oxgw02"]), {CACHES: WARNING}),
        (lambda p: change_mount(p["oxgw01"], mount=None), {NFS_1: CRITICAL}),
        (lambda p: change_mount(p["oxgw02"], answers=False), {NFS_2: CRITICAL}),
        (lambda p: stop_unit(p["dbmaster"], "nfs"), {NFS_1: CRITICAL, NFS_2: CRITICAL}),
        (lambda p: change_replica(p["dbslave"], seconds_behind=61), {REPLICATION: WARNING}),
        (lambda p: change_replica(p["dbslave"], sql_running="No"), {REPLICATION: CRITICAL}),
        (lambda p: change_server(p["dbslave"], gtid_state="0-2-9"), {REPLICATION: WARNING}),
        (lambda p: change_server(p["dbslave"], variables={"server_id": "2"}), {}),
        (
            lambda p: setattr(p["dbslave"], "mysql", None),
            {READS_1: CRITICAL, READS_2: CRITICAL, REPLICATION: CRITICAL},
        ),
        # The master's server only: the filestore on the same host goes on.
        (
            lambda p: setattr(p["dbmaster"], "mysql", None),
            {WRITES_1: CRITICAL, WRITES_2: CRITICAL, REPLICATION: CRITICAL},
        ),
        (
            lambda p: lose(p, "dbmaster"),
            {WRITES_1: CRITICAL, WRITES_2: CRITICAL, REPLICATION: CRITICAL, NFS_1: CRITICAL, NFS_2: CRITICAL},
        ),
        (
            lambda p: lose(p, "oxgw01"),
            {WEB_1: CRITICAL, WRITES_1: CRITICAL, READS_1: CRITICAL, NFS_1: CRITICAL, CACHES: CRITICAL},
        ),
        (lambda p: lose(p, "web"), {WEB_1: CRITICAL, WEB_2: CRITICAL}),
    ],
)
def test_arrow_is_as_bad_as_what_concerns_it(
    guide: Guide, broken: Break, expected: dict[tuple[str, str, str], Level]
) -> None:
    assert bad(after(guide, broken)) == expected


def test_findings_of_one_web_host_leave_the_arrows_of_another_alone(guide: Guide) -> None:
    guide.add("web", "web2", address="192.0.2.13")
    snapshot = after(guide, lambda p: change_member(p["web2"], 0, disabled=True))
    assert bad(snapshot) == {("balancing", "web2", "oxgw01"): WARNING}


def test_missing_link_leaves_the_arrows_of_other_pairs_alone(guide: Guide) -> None:
    add_nodes(guide, 3)
    snapshot = after(guide, lambda p: cut(p, "oxgw03", "oxgw01", ADMIN_PORT))
    assert bad(snapshot) == {("caches", "oxgw01", "oxgw03"): WARNING}
    assert ("oxgw01", "oxgw03", "2 of 3 caches") in arrows(snapshot, "caches")


@pytest.mark.parametrize(
    ("broken", "arrow", "text"),
    [
        (lambda p: stop_unit(p["web"], "apache2"), WEB_1, "route OX-1, balancer down"),
        (lambda p: change_member(p["web"], 1, disabled=True), WEB_2, "route OX-2, disabled"),
        (lambda p: change_member(p["web"], 1, disabled=True), WEB_1, "route OX-1"),
        (lambda p: change_member(p["web"], 0, error=True), WEB_1, "route OX-1, in error"),
        (lambda p: change_member(p["web"], 0, disabled=True, error=True), WEB_1, "route OX-1, in error, disabled"),
        (drop_member, WEB_2, "route OX-2, not a member"),
        (lambda p: stop_daemon(p, "oxgw02", GROUPWARE), WEB_2, "route OX-2, daemon down"),
        (lambda p: lose(p, "web"), WEB_1, "route OX-1, unreachable"),
        (lambda p: lose(p, "oxgw01"), WEB_1, "route OX-1, unreachable"),
        (lambda p: lose(p, "dbmaster"), WRITES_1, "writes, unreachable"),
        (lambda p: setattr(p["dbmaster"], "mysql", None), WRITES_1, "writes, server down"),
        (lambda p: setattr(p["dbslave"], "mysql", None), READS_2, "reads, server down"),
        (lambda p: change_replica(p["dbslave"], seconds_behind=75), REPLICATION, "lag 75 s"),
        (lambda p: change_replica(p["dbslave"], sql_running="No", seconds_behind=None), REPLICATION, "stopped"),
        (lambda p: change_server(p["dbslave"], replica=None), REPLICATION, "not set up"),
        (lambda p: change_server(p["dbslave"], seeding=True), REPLICATION, "lag 0 s, half seeded"),
        (lambda p: change_server(p["dbslave"], gtid_state="0-2-9"), REPLICATION, "lag 0 s, errant transactions"),
        (lambda p: setattr(p["dbslave"], "mysql", None), REPLICATION, "lag unknown, server down"),
        (lambda p: setattr(p["dbmaster"], "mysql", None), REPLICATION, "lag 0 s, master down"),
        (lambda p: lose(p, "dbslave"), REPLICATION, "lag unknown, unreachable"),
        (lambda p: change_mount(p["oxgw01"], mount=None), NFS_1, "not mounted"),
        (lambda p: change_mount(p["oxgw01"], mount=Mount("192.0.2.99:/other", "nfs4")), NFS_1, "not mounted"),
        (lambda p: change_mount(p["oxgw01"], answers=False), NFS_1, "does not answer"),
        (lambda p: lose(p, "oxgw01"), NFS_1, "not asked"),
        (lambda p: setattr(p["oxgw01"], "mount", None), NFS_1, "not asked"),
        (lambda p: cut(p, "oxgw01", "oxgw02", ADMIN_PORT), CACHES, "2 of 3 caches"),
        (lambda p: stop_daemon(p, "oxgw02", ADMIN), CACHES, "2 of 3 caches, daemon down"),
        (lambda p: stop_route(p["oxgw02"]), CACHES, "3 of 3 caches, no multicast route"),
        (lambda p: lose(p, "oxgw02"), CACHES, "0 of 3 caches, unreachable"),
    ],
)
def test_text_of_an_arrow_says_what_is_not_well(
    guide: Guide, broken: Break, arrow: tuple[str, str, str], text: str
) -> None:
    links = after(guide, broken).links
    assert [link.text for link in links if (link.kind, link.source, link.target) == arrow] == [text]


def test_words_that_several_findings_have_in_common_are_said_once(guide: Guide) -> None:
    def broken(hosts: SeenHosts) -> None:
        stop_daemon(hosts, "oxgw02", ADMIN)
        stop_daemon(hosts, "oxgw02", GROUPWARE)

    assert arrows(after(guide, broken), "caches") == [("oxgw01", "oxgw02", "0 of 3 caches, daemon down")]
