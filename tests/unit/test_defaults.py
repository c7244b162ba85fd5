"""Servers of different releases give the same collations to what does not say them; others are left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ox_deploy.facts.mysql import MysqlStatus, ServerState
from ox_deploy.facts.service import Service, ServiceStatus, UnitState
from ox_deploy.remote.mysql import defaults as remote_defaults
from ox_deploy.topologies.master_slaves.defaults import not_understood, wanted_defaults
from ox_deploy.topologies.master_slaves.deploys.database import _collations
from ox_deploy.topologies.master_slaves.notes import notes
from ox_deploy.topologies.master_slaves.operations import roles
from ox_deploy.topologies.master_slaves.roles import master_of, slaves_of
from tests.unit.fakes import FakeHost, Outcome, file_state, run
from tests.unit.guide import Guide
from tests.unit.programs import under_test

MAP = "ucs2=ucs2_uca1400_ai_ci,utf8mb4=utf8mb4_uca1400_ai_ci"
# As Debian 12 and 13 bring them.
OLD = {"version": "10.11.19-MariaDB", "character_set_server": "utf8mb4", "collation_server": "utf8mb4_general_ci"}
NEW = {
    "version": "11.8.9-MariaDB",
    "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_uca1400_ai_ci",
    "character_set_collations": MAP,
}
# What the new one says so that it is as the old one.
AS_OLD = {
    "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_general_ci",
    "character_set_collations": "",
}
AS_NEW = {"character_set_server": "utf8mb4", "collation_server": "utf8mb4_uca1400_ai_ci"}
UNKNOWN: dict[str, str] = {}


def running(defaults: dict[str, str]) -> MysqlStatus:
    return MysqlStatus(state=ServerState.RUNNING, version=defaults.get("version", ""), defaults=defaults)


def new(defaults: dict[str, str]) -> MysqlStatus:
    return MysqlStatus(state=ServerState.NOT_RUNNING, defaults=defaults)


CASES: dict[str, tuple[MysqlStatus, MysqlStatus, Any, Any]] = {
    # What master and replica say, and whether they begin to.
    "newer replica": (running(OLD), running(NEW), None, (AS_OLD, True)),
    "newer replica that says it": (running(OLD), running(NEW | AS_OLD), None, (AS_OLD, False)),
    "newer replica that is yet to run": (running(OLD), new(NEW), None, (AS_OLD, True)),
    "older replica": (running(NEW), running(OLD), None, (AS_NEW, True)),
    "older replica that says it": (running(NEW), running(OLD | AS_NEW), None, (AS_NEW, False)),
    "old pair": (running(OLD), running(OLD), None, ({k: OLD[k] for k in AS_NEW}, False)),
    "new pair": (running(NEW), running(NEW), None, ({k: NEW[k] for k in AS_OLD}, False)),
    "changed while one runs": (running(NEW | AS_OLD), running(NEW), None, (AS_OLD, False)),
    "newer replica, both new": (new(OLD), new(NEW), ({k: OLD[k] for k in AS_NEW}, False), (AS_OLD, True)),
    "older replica, both new": (new(NEW), new(OLD), (AS_OLD, True), ({k: OLD[k] for k in AS_NEW}, False)),
    "unknown master": (running(UNKNOWN), running(NEW), None, None),
    "unknown replica": (running(OLD), new(UNKNOWN), None, None),
}


@pytest.mark.parametrize(("master", "slave", "of_master", "of_slave"), CASES.values(), ids=CASES)
def test_replica_follows_its_master_and_new_servers_the_oldest(
    master: MysqlStatus, slave: MysqlStatus, of_master: Any, of_slave: Any
) -> None:
    servers = {"dbmaster": master, "dbslave": slave}
    assert wanted_defaults("dbmaster", "dbmaster", servers) == of_master
    assert wanted_defaults("dbslave", "dbmaster", servers) == of_slave


def test_replicas_that_do_not_understand_their_master_are_named() -> None:
    others = {"a": running(OLD), "b": running(NEW), "c": running(UNKNOWN)}
    assert not_understood("m", {"m": running(NEW), **others}) == ["a"]
    assert not_understood("m", {"m": running(NEW | AS_OLD), **others}) == []
    assert not_understood("m", {"m": running(OLD), **others}) == []
    assert not_understood("m", others) == []


# --- what is written ---------------------------------------------------------------------------------------

FILE = "/etc/mysql/mariadb.conf.d/89-ox-deploy-collations.cnf"
TEXT = "collation_server = utf8mb4_general_ci\ncharacter_set_collations =\n"


def configured(name: str, there: str | None, **servers: MysqlStatus) -> Outcome:
    notes().servers.update(servers)
    found = {FILE: None if there is None else file_state(there)}
    status = ServiceStatus(files=found, units={"mariadb": UnitState(active=True, enabled=True)})
    return run(
        roles.configure,
        FakeHost({Service: status}, name=name),
        service_name="mariadb",
        files=[],
        check=[],
        read_only=name != "dbmaster",
        units=["mariadb"],
        collations=roles.Collations(FILE, "dbmaster"),
    )


def written(outcome: Outcome) -> list[str]:
    return [file["content"] for file in outcome.job("master_slaves.role_configure")["files"]["files"]]


def test_newer_replica_gets_the_collations_of_its_master_and_keeps_them() -> None:
    (text,) = written(configured("dbslave", None, dbmaster=running(OLD), dbslave=running(NEW)))
    assert text.endswith(TEXT)
    configured("dbslave", text, dbmaster=running(OLD), dbslave=running(NEW | AS_OLD)).assert_noop()
    # Also when both are upgraded one day.
    configured("dbslave", text, dbmaster=running(NEW | AS_OLD), dbslave=running(NEW | AS_OLD)).assert_noop()
    assert written(configured("dbslave", text, dbmaster=running(NEW), dbslave=running(NEW | AS_OLD)))


@pytest.mark.parametrize("name", ["dbmaster", "dbslave"])
@pytest.mark.parametrize("defaults", [OLD, NEW, UNKNOWN])
def test_servers_of_one_release_get_no_file(name: str, defaults: dict[str, str]) -> None:
    configured(name, None, dbmaster=running(defaults), dbslave=running(defaults)).assert_noop()


@pytest.mark.parametrize("there", [None, "old\n"])
def test_master_keeps_what_it_has(there: str | None) -> None:
    outcome = configured("dbmaster", there, dbmaster=running(NEW), dbslave=running(OLD))
    outcome.assert_noop()
    (said,) = outcome.logged
    assert said.startswith("dbslave would give other collations to what is made here with a character set")


def test_file_is_left_alone_where_nothing_is_known() -> None:
    configured("dbslave", "old\n", dbmaster=running(UNKNOWN), dbslave=running(NEW)).assert_noop()


def test_settings_of_a_user_are_theirs(guide: Guide) -> None:
    cluster = guide.build()
    slave = slaves_of(cluster)[0]
    assert _collations(cluster, slave) == roles.Collations(FILE, master_of(cluster).inventory_name)
    cluster = guide.set(mysql_settings={"Collation-Server": "utf8mb4_bin"}).build()
    assert _collations(cluster, slaves_of(cluster)[0]) is None


# --- what a server says ------------------------------------------------------------------------------------

# Of mariadbd 11.8.9, shortened.
HELP = """#!/bin/sh
cat <<'END'
{folder}/mariadbd  Ver 11.8.9-MariaDB-0+deb13u1 from Debian-log for debian-linux-gnu on x86_64
  --collation-server=name Set the default collation.

Variables (--variable-name=value)
character-set-collations                                     {map}
character-set-server                                         utf8mb4
collation-server                                             utf8mb4_uca1400_ai_ci
datadir                                                      {folder}/
END
"""


@pytest.mark.parametrize(
    ("text", "found"), [("utf8mb4=uca1400_ai_ci,ucs2=uca1400_ai_ci", MAP), ("(No default value)", "")]
)
def test_server_that_has_not_run_yet_says_it_by_its_files(tmp_path: Path, text: str, found: str) -> None:
    program = under_test(remote_defaults)
    server = tmp_path / "mariadbd"
    server.write_text(HELP.format(map=text, folder=tmp_path))
    server.chmod(0o755)
    program.SERVER = str(server)
    (tmp_path / "mysql").mkdir()
    expected = NEW | {"version": "11.8.9-MariaDB-0+deb13u1", "character_set_collations": found}
    assert program.defaults_of_new() == expected
    # One that is down, and not new, may have been told otherwise.
    (tmp_path / "shop").mkdir()
    assert program.defaults_of_new() == {}


def test_other_server_says_nothing(tmp_path: Path) -> None:
    program = under_test(remote_defaults)
    program.SERVER = str(tmp_path / "none")
    assert program.defaults_of_new() == {}


def test_map_is_always_written_in_the_same_way() -> None:
    values = {"character_set_collations": "utf8mb4=utf8mb4_uca1400_ai_ci, ucs2=uca1400_ai_ci", "port": "3306"}
    assert remote_defaults.defaults_in("11.8", values) == {"version": "11.8", "character_set_collations": MAP}
