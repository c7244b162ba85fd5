"""What could end a seeding: each of it is found beforehand, and all of it is told at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ox_deploy.facts.mysql import BinaryLog, MysqlStatus, ServerState
from ox_deploy.secrets import Secret
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.facts.seed import Survey
from ox_deploy.topologies.master_slaves.obstacles import Method, SeedPlan, Side, forewarnings
from ox_deploy.topologies.master_slaves.seed_rules import refusal
from ox_deploy.topologies.master_slaves.source import Source

SOURCE = Source("dbmaster", "192.0.2.21", 3306, "replication", Secret("Zc4qLw8mPn2rTx6v"))
LOG = BinaryLog(file="mysql-bin.000003", position=342, first_file="mysql-bin.000002", complete=False)
REPLICA = Replica(
    host="192.0.2.29",
    port=3306,
    user="replication",
    io_running="Yes",
    sql_running="Yes",
    io_error="",
    sql_error="",
    file="mysql-bin.000003",
    position=342,
    password=None,
)
VERSIONS = {"mariadb": "10.11.19-MariaDB-0+deb12u1-log", "mysql": "9.7.4-2"}
GIB = 1 << 30
# As both are where nothing is in the way.
ALIKE = {
    "lower_case_table_names": "0",
    "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_general_ci",
    "innodb_page_size": "16384",
}
PLUGINS = {"mariadb": "mysql_native_password", "mysql": "caching_sha2_password"}


def place(use: str, path: str, device: int = 1, free: int = 9 * GIB) -> dict[str, Any]:
    return {"use": use, "path": path, "device": device, "free": free}


PLACES = [
    place("data", "/var/lib/mysql"),
    place("beside", "/var/lib"),
    place("logs", "/var/log/mysql", 2),
    place("temporary", "/tmp", 3),
]


def side(name: str, kind: str, version: str | None = None, **survey: Any) -> Side:
    found: dict[str, Any] = {
        "databases": [{"name": "oxdb", "tables": 80, "rows": 12000, "bytes": GIB}],
        "directory_bytes": 2 * GIB,
        "can_clone": True,
        "alike": ALIKE,
        "backup_version": "10.11.14-MariaDB" if kind == "mariadb" else "",
        "engines": {"InnoDB": "oxdb.t"},
        "known_engines": ["InnoDB", "CSV"],
        "collations": {"utf8mb4_general_ci": "oxdb.t", "utf8_bin": "oxdb.u"},
        "known_collations": ["utf8mb4_general_ci", "utf8mb3_bin"],
        "account_plugins": {PLUGINS[kind]: ["'a'@'%'"]},
        "plugins": [PLUGINS[kind], "InnoDB"],
        "settings": {"strict_password_validation": "ON", "super_read_only": "OFF"},
        "places": PLACES,
    } | survey
    variables = {"server_id": "1" if name == "dbmaster" else "2", "gtid_mode": "ON"}
    status = MysqlStatus(
        state=ServerState.RUNNING, version=version or VERSIONS[kind], variables=variables, binary_log=LOG
    )
    return Side(name, status, Survey.model_validate(found))


def slave(kind: str = "mariadb", **survey: Any) -> Side:
    return side("dbslave", kind, **survey)


def master(kind: str = "mariadb", **survey: Any) -> Side:
    return side("dbmaster", kind, **survey)


def named(found: Side) -> Side:
    """Give a replica a connection that has a name."""
    prod = REPLICA.model_copy(update={"name": "prod"})
    return replace(found, status=found.status.model_copy(update={"named": [prod]}))


def warned(found: Side, source: Side, method: str = "logical") -> list[str]:
    return list(
        forewarnings(SeedPlan(SOURCE, "192.0.2.22", Method(method), overwrite=True, by_gtid=True), found, source)
    )


def refused(method: str, found: Side, source: Side) -> str | None:
    return refusal(SeedPlan(SOURCE, "192.0.2.22", Method(method), overwrite=True, by_gtid=True), found, source)


@pytest.mark.parametrize("kind", VERSIONS)
@pytest.mark.parametrize("method", ["logical", "physical"])
def test_nothing_is_in_the_way_of_two_that_are_alike(kind: str, method: str) -> None:
    assert refused(method, slave(kind), master(kind)) is None


BOTH = ("logical", "physical")
VIEW = {"what": "view", "name": "oxdb.v", "error": "View 'oxdb.v' references invalid table(s) (1356)"}
ED25519 = {"ed25519": [f"'{name}'@'%'" for name in "abcdefg"]}
MORE_PLUGINS = {"plugins": ["CACHING_SHA2_PASSWORD", "InnoDB", "clone", "keyring_file", "version_tokens"]}
FULL = [place("data", "/var/lib/mysql", free=0), place("beside", "/var/lib", free=0), *PLACES[2:]]

# By the ways that it is in the way of: the replica, the master, and the sentence.
OBSTACLES: dict[str, tuple[tuple[str, ...], Side, Side, str]] = {
    "view": (
        ("logical",),
        slave(),
        master(broken=[VIEW]),
        "the view oxdb.v on dbmaster cannot be dumped (View 'oxdb.v' references invalid table(s) (1356)); fix or drop "
        "it, or seed with `--data seed_method=physical`.",
    ),
    "view-of-mysql": (
        ("logical",),
        slave("mysql"),
        master("mysql", broken=[VIEW]),
        "the view oxdb.v on dbmaster cannot be dumped (View 'oxdb.v' references invalid table(s) (1356)); fix or drop "
        "it, or seed with `--data seed_method=physical`.",
    ),
    "plugin-of-accounts": (
        ("logical",),
        slave(),
        master(account_plugins=ED25519),
        "dbslave has not loaded the plugin ed25519, by which 'a'@'%', 'b'@'%', 'c'@'%', 'd'@'%', 'e'@'%' and 2 more "
        "log in to dbmaster; load it there as dbmaster does, or change or drop these accounts.",
    ),
    "plugin-of-accounts-of-mysql": (
        ("logical",),
        slave("mysql"),
        master("mysql", account_plugins={"mysql_native_password": ["'old'@'%'"]}),
        "dbslave has not loaded the plugin mysql_native_password, by which 'old'@'%' log in to dbmaster; load it there "
        "as dbmaster does, or change or drop these accounts.",
    ),
    "plugins-to-clone": (
        ("physical",),
        slave("mysql"),
        master("mysql", **MORE_PLUGINS),
        "dbslave has not loaded the plugins keyring_file, version_tokens of dbmaster, without which MySQL does not "
        "clone it; load them there, or seed with `--data seed_method=logical`.",
    ),
    "checked-passwords": (
        ("logical",),
        slave(checks_passwords=True, settings={"strict_password_validation": "ON"}),
        master(),
        "`strict_password_validation` is ON on dbslave, so it rejects accounts whose password it cannot check; "
        "run `SET GLOBAL strict_password_validation = OFF` until it is seeded.",
    ),
    "super-read-only": (
        BOTH,
        slave("mysql", settings={"super_read_only": "ON"}),
        master("mysql"),
        "`super_read_only` is ON on dbslave, so nothing can write data there; run `SET GLOBAL super_read_only = "
        "OFF` until it is seeded.",
    ),
    "connection": (
        BOTH,
        named(slave()),
        master(),
        "dbslave replicates by the named connections 'prod'; nothing was changed: run `STOP SLAVE 'prod'; RESET SLAVE "
        "'prod' ALL` there.",
    ),
    "channel": (
        BOTH,
        named(slave("mysql")),
        master("mysql"),
        "dbslave replicates by the named connections 'prod'; nothing was changed: run `STOP REPLICA FOR CHANNEL "
        "'prod'; RESET REPLICA ALL FOR CHANNEL 'prod'` there.",
    ),
    "case-of-names": (
        BOTH,
        slave(alike=ALIKE | {"lower_case_table_names": "1"}),
        master(),
        "`lower_case_table_names` is 1 on dbslave and 0 on dbmaster, so tables would have other names there; set it to "
        "0 in its configuration, and restart its server.",
    ),
    "collation-of-the-server": (
        BOTH,
        slave("mysql", alike=ALIKE | {"collation_server": "utf8mb4_uca1400_ai_ci"}),
        master("mysql"),
        "`collation_server` is utf8mb4_uca1400_ai_ci on dbslave and utf8mb4_general_ci on dbmaster, so databases "
        "created after a switchover would differ; set it to utf8mb4_general_ci for both in `mysql_settings`, and "
        "deploy.",
    ),
    "character-set-of-the-server": (
        BOTH,
        slave(alike=ALIKE | {"character_set_server": "latin1"}),
        master(),
        "`character_set_server` is latin1 on dbslave and utf8mb4 on dbmaster, so databases created after a "
        "switchover would differ; set it to utf8mb4 for both in `mysql_settings`, and deploy.",
    ),
    "collation": (
        BOTH,
        slave(),
        master(collations={"utf8mb4_uca1400_ai_ci": "oxdb.t"}),
        "dbslave does not know the collation utf8mb4_uca1400_ai_ci, which oxdb.t on dbmaster has; convert what has it, "
        "or install a version that knows it on dbslave.",
    ),
    "engine": (
        ("physical",),
        slave(),
        master(engines={"InnoDB": "oxdb.t", "ROCKSDB": "oxdb.r"}),
        "dbslave lacks the storage engine ROCKSDB, which oxdb.r on dbmaster has; load its plugin there, or convert the "
        "tables that have it.",
    ),
    "no-keys": (
        ("logical",),
        slave(),
        master(encrypted=["oxdb.t"], can_encrypt=True),
        "dbmaster has encrypted tables (oxdb.t), but dbslave has no keys for tables of its own; set it up with a "
        "plugin or component for keys, as its master is.",
    ),
    "other-keys": (
        ("physical",),
        slave("mysql", can_encrypt=True),
        master("mysql", encrypted=["oxdb.t"], can_encrypt=True),
        "dbmaster has encrypted tables (oxdb.t), and whether dbslave can read them with its keys is not known; seed "
        "with `--data seed_method=logical`.",
    ),
    "backup-of-the-slave": (
        ("physical",),
        slave(backup_version="10.6.22-MariaDB"),
        master(),
        "`mariadb-backup` of dbslave is built for 10.6.22-MariaDB, but its server is 10.11.19-MariaDB-0+deb12u1-log; "
        "install the package mariadb-backup of the server's version, or seed with `--data seed_method=logical`.",
    ),
    "backup-of-the-master": (
        ("physical",),
        slave(),
        master(backup_version="11.8.3-MariaDB"),
        "`mariadb-backup` of dbmaster is built for 11.8.3-MariaDB, but its server is 10.11.19-MariaDB-0+deb12u1-log; "
        "install the package mariadb-backup of the server's version, or seed with `--data seed_method=logical`.",
    ),
    "time-zones": (
        ("logical",),
        slave(),
        master(has_time_zones=True),
        "dbslave has no time zone tables, but dbmaster has; load them there (`mariadb-tzinfo-to-sql "
        "/usr/share/zoneinfo`).",
    ),
    "time-zones-of-mysql": (
        ("logical",),
        slave("mysql"),
        master("mysql", has_time_zones=True),
        "dbslave has no time zone tables, but dbmaster has; load them there (`mysql_tzinfo_to_sql "
        "/usr/share/zoneinfo`).",
    ),
    # What is dropped first makes room in the data directory.
    "room-for-a-dump": (
        ("logical",),
        slave(places=FULL),
        master(databases=[{"name": "oxdb", "tables": 80, "rows": 12000, "bytes": 2 * GIB}]),
        "the disk of /var/lib/mysql on dbslave has 1073 MB for data, which need 2362 MB; make room there.",
    ),
    "room-beside": (
        ("physical",),
        slave(places=[place("data", "/var/lib/mysql", free=GIB), place("beside", "/var/lib", free=GIB), *PLACES[2:]]),
        master(),
        "the disk of /var/lib on dbslave has 1073 MB for data, which need 2362 MB; make room there.",
    ),
    "directory-of-its-own": (
        ("physical",),
        slave(places=[place("data", "/var/lib/mysql", device=4), *PLACES[1:]]),
        master(),
        "on dbslave, /var/lib/mysql is a separate file system, so it cannot be replaced; seed with `--data "
        "seed_method=logical`.",
    ),
    "room-for-a-clone": (
        ("physical",),
        slave("mysql", places=FULL),
        master("mysql"),
        "the disk of /var/lib/mysql on dbslave has 1073 MB for data, which need 2362 MB; make room there.",
    ),
    "room-for-logs": (
        BOTH,
        slave(places=[*PLACES[:2], place("logs", "/var/log/mysql", 2, 99_000_000), place("temporary", "/tmp", 2, 1)]),
        master(),
        "the disk of /tmp, /var/log/mysql on dbslave has 99 MB for logs and temporary files, which need 200 MB; make "
        "room there.",
    ),
}


@pytest.mark.parametrize(("methods", "found", "source", "sentence"), OBSTACLES.values(), ids=OBSTACLES)
def test_what_could_end_a_seeding_is_found_before(
    methods: tuple[str, ...], found: Side, source: Side, sentence: str
) -> None:
    for method in BOTH:
        said = (refused(method, found, source) or "").split("\n")
        assert (sentence in said) is (method in methods), said
        if method in methods:
            assert said == [sentence]


def test_collations_of_another_release_are_set_by_a_deploy() -> None:
    found = slave(version="11.8.9-MariaDB", alike=ALIKE | {"collation_server": "utf8mb4_uca1400_ai_ci"})
    assert refused("logical", found, master()) == (
        "`collation_server` is utf8mb4_uca1400_ai_ci on dbslave and utf8mb4_general_ci on dbmaster, so databases "
        "created after a switchover would differ; set it to utf8mb4_general_ci there with a deploy, which does so "
        "where releases differ."
    )


def test_all_that_is_in_the_way_is_told_at_once() -> None:
    found = named(slave(missing=["mariadb-dump"], places=FULL))
    source = master(broken=[VIEW], account_plugins=ED25519, not_transactional=["oxdb.m"], missing=["socat"])
    said = refusal(SeedPlan(SOURCE, "192.0.2.22", Method.LOGICAL, overwrite=False, by_gtid=True), found, source)
    begins = [
        "dbslave lacks mariadb-dump",
        "dbmaster lacks socat",
        "dbmaster has tables that no snapshot covers",
        "dbslave replicates by the named connections 'prod'",
        "the view oxdb.v on dbmaster",
        "dbslave has not loaded the plugin ed25519",
        "the disk of /var/lib/mysql on dbslave has 1073 MB",
        "dbslave has data that would be lost",
    ]
    lines = (said or "").split("\n")
    assert len(lines) == len(begins)
    for line, begin in zip(lines, begins, strict=True):
        assert line.startswith(begin)
        assert line.endswith(".")


@pytest.mark.parametrize("method", BOTH)
def test_slave_that_is_down_is_compared_with_nothing(method: str) -> None:
    down = Side("dbslave", MysqlStatus(state=ServerState.NOT_RUNNING, seeding=True), Survey())
    source = master(account_plugins=ED25519, collations={"x": "oxdb.t"}, has_time_zones=True)
    assert refused(method, down, source) is None
    (said,) = warned(down, source)
    assert said == "The server of dbslave does not answer: what it lacks is known only once the seeding has begun."


def test_what_an_older_slave_understands_is_not_known_before() -> None:
    newer = side("dbmaster", "mariadb", version="11.8.6-MariaDB")
    (said,) = warned(slave(databases=[]), newer)
    assert said == (
        "dbslave runs 10.11.19-MariaDB-0+deb12u1-log, which is older than 11.8.6-MariaDB of dbmaster: whether it "
        "understands all definitions and all that will be replicated shows only then."
    )
    assert warned(side("dbslave", "mariadb", version="11.8.6-MariaDB", databases=[]), master()) == []


@pytest.mark.parametrize(
    ("kind", "method", "dropped"),
    [
        ("mariadb", "logical", True),
        ("mariadb", "physical", False),
        ("mysql", "logical", True),
        ("mysql", "physical", True),
    ],
)
def test_data_that_cannot_be_put_back_is_told_before(kind: str, method: str, dropped: bool) -> None:
    sentence = "What dbslave has is dropped before the new data comes, and cannot be put back if that fails."
    assert warned(slave(kind), master(kind), method) == ([sentence] if dropped else [])
    assert warned(slave(kind, databases=[]), master(kind), method) == []


def test_room_is_no_matter_before_what_a_dead_seeding_left_is_removed() -> None:
    found = slave(places=FULL)
    half = Side("dbslave", found.status.model_copy(update={"seeding": True}), found.survey)
    assert refused("physical", half, master()) is None
