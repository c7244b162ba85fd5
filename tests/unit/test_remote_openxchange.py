"""The programs of a groupware node that deal with its files and with configdb."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ox_deploy.facts.openxchange import Configuration, Registration
from ox_deploy.products.ox6.database import CONFIGDB as LAYOUT
from ox_deploy.remote.configdb import state as configdb_state
from ox_deploy.remote.configdb.state import RegistrationState
from ox_deploy.remote.openxchange import configure as openxchange_configure
from ox_deploy.remote.openxchange import register as openxchange_register
from ox_deploy.remote.openxchange import state as openxchange_state
from tests.unit.programs import Commands, Session, altered, under_test

PASSWORD, DATABASE_PASSWORD, USER_PASSWORD = "Zc4qLw8mPn2rTx6v", "Hk7dSb3yGf9jNe5a", "Lp3oKi9jUh6gTf4r"

PROPERTIES = """\
# Should the read connection be another one?
useSeparateWrite=true
readUrl=jdbc:mysql://192.0.2.22:3306/configdb
readProperty.1=user=openexchange
readProperty.2=password=read-password
writeUrl=jdbc:mysql://192.0.2.21:3307/configdb
writeProperty.1=user=openexchange
writeProperty.2=password=Hk7dSb3yGf9jNe5a
  # useSeparateWrite=false
"""


def configuring() -> Any:
    """The program, for a user who may not give files to others."""
    program = under_test(openxchange_configure)
    program.os = altered(os, chown=lambda *_: None, fchown=lambda *_: None)
    return program


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The product's folder of settings."""
    folder = tmp_path / "etc"
    (folder / "groupware").mkdir(parents=True)
    (folder / "admindaemon").mkdir()
    return folder


# --- values of properties files --------------------------------------------------------------------------

VALUES: dict[str, tuple[str, str | None, str]] = {
    "changed": ("a=1\nkey=old\nb=2\n", "new", "a=1\nkey=new\nb=2\n"),
    "with-blanks": ("  key = old\n", "new", "key=new\n"),
    "twice": ("key=1\nkey=2\n", "new", "key=new\nkey=new\n"),
    "added": ("a=1\n", "new", "a=1\nkey=new\n"),
    "added-after-a-line-without-end": ("a=1", "new", "a=1\nkey=new\n"),
    "added-to-an-empty-file": ("", "new", "key=new\n"),
    "comment-is-no-value": ("# key=old\n#key=old\n", "new", "# key=old\n#key=old\nkey=new\n"),
    "longer-key-is-another": ("key2=x\nmykey=x\nkey.a=x\n", "new", "key2=x\nmykey=x\nkey.a=x\nkey=new\n"),
    "backslash-and-group": ("key=old\n", r"a\1\g<0>b", "key=a\\1\\g<0>b\n"),
    "commented-out": ("a=1\n key=old\n", None, "a=1\n#  key=old\n"),
    "commented-out-already": ("# key=old\n", None, "# key=old\n"),
    "not-there": ("a=1\n", None, "a=1\n"),
}


@pytest.mark.parametrize(("before", "value", "after"), VALUES.values(), ids=VALUES)
def test_value_is_set_and_the_rest_is_kept(before: str, value: str | None, after: str) -> None:
    program = configuring()
    assert program.with_value(before, "key", value) == after
    assert program.with_value(after, "key", value) == after


@pytest.mark.parametrize(("before", "value", "after"), VALUES.values(), ids=VALUES)
def test_value_that_was_set_is_found_again(base: Path, before: str, value: str | None, after: str) -> None:
    path = base / "x.properties"
    path.write_text(after)
    assert openxchange_state.values_in(str(path)).get("key") == value


def test_key_is_not_a_pattern() -> None:
    program = configuring()
    assert program.with_value("jcsXa=1\n", "jcs.a", "2") == "jcsXa=1\njcs.a=2\n"


def test_values_are_read_without_comments_and_with_signs_in_them(base: Path) -> None:
    path = base / "x.properties"
    path.write_text(PROPERTIES)
    found = openxchange_state.values_in(str(path))
    assert found["useSeparateWrite"] == "true"
    assert found["writeProperty.2"] == f"password={DATABASE_PASSWORD}"
    assert openxchange_state.values_in(str(base / "none")) == {}


# --- state -----------------------------------------------------------------------------------------------


def test_state_is_what_the_fact_understands_and_holds_no_secret(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = under_test(openxchange_state)
    program.BASE = str(base)
    program.grp = SimpleNamespace(getgrgid=lambda _: ("open-xchange",))
    (base / "groupware/configdb.properties").write_text(PROPERTIES)
    (base / "admindaemon/mpasswd").write_text("other:xx\noxadminmaster:ab1234567890.\n")
    (base / "admindaemon/mpasswd").chmod(0o600)
    (base / "groupware/configdb.properties").chmod(0o640)
    document = program.openxchange_state(
        {
            "keys": {"groupware/configdb.properties": ["useSeparateWrite", "none"], "none.properties": ["a"]},
            "secret_keys": {"groupware/configdb.properties": ["readProperty.2", "none"]},
            "administrator": {"name": "oxadminmaster", "file": "admindaemon/mpasswd", "salt_length": 2},
        }
    )
    found = Configuration.model_validate(document)
    assert not found.installed
    assert found.values == {
        "groupware/configdb.properties": {"useSeparateWrite": "true", "none": None},
        "none.properties": {"a": None},
    }
    secrets = found.secrets["groupware/configdb.properties"]
    assert list(secrets) == ["readProperty.2"]
    assert secrets["readProperty.2"].matches("password=read-password")
    assert found.administrator is not None
    assert found.administrator.salt == "ab"
    assert found.administrator.hash.matches("ab1234567890.")
    assert "admindaemon/mpasswd" in found.exposed
    assert "read-password" not in str(document)
    assert "ab1234567890." not in str(document)


@pytest.mark.parametrize(
    ("mode", "uid", "group", "exposed"),
    [
        (0o100640, 0, "open-xchange", False),
        (0o100644, 0, "open-xchange", True),
        (0o100660, 0, "open-xchange", True),
        (0o100640, 1001, "open-xchange", True),
        (0o100640, 0, "users", True),
    ],
)
def test_secret_file_is_for_root_and_the_daemons(mode: int, uid: int, group: str, exposed: bool) -> None:
    program = under_test(openxchange_state)
    entry = SimpleNamespace(st_mode=mode, st_uid=uid, st_gid=7)
    program.os = SimpleNamespace(path=SimpleNamespace(exists=lambda _: True), stat=lambda _: entry)
    program.grp = SimpleNamespace(getgrgid=lambda _: (group,))
    assert program.is_exposed("x") is exposed


def test_missing_administrator_is_none(base: Path) -> None:
    program = under_test(openxchange_state)
    program.BASE = str(base)
    (base / "mpasswd").write_text("oxadminmaster2:ab12\n")
    assert program.administrator_in("mpasswd", "oxadminmaster", 2) is None
    assert program.administrator_in("none", "oxadminmaster", 2) is None
    assert not program.is_exposed(str(base / "none"))


UID, GID = 4711, 4712


@pytest.fixture
def closed(base: Path) -> Any:
    """A configuration that was written with a umask of 077, seen as a user to whom nothing belongs."""
    program = under_test(openxchange_configure)
    program.BASE = str(base)
    program.pwd = SimpleNamespace(getpwnam=lambda _: SimpleNamespace(pw_gid=GID, pw_uid=UID))
    program.grp = SimpleNamespace(getgrnam=lambda _: ("open-xchange", "x", GID))
    owned: set[str] = set()

    def look(path: str) -> Any:
        entry = Path(path).stat()
        return SimpleNamespace(st_mode=entry.st_mode, st_uid=0, st_gid=GID if str(path) in owned else 0)

    program.os = altered(
        os, getgrouplist=lambda *_: [GID], stat=look, chown=lambda path, uid, gid: owned.add(str(path))
    )
    for name, mode in (("cache.ccf", 0o644), ("ajp.properties", 0o600), ("mine.bak", 0o600)):
        (base / "groupware" / name).touch(mode)
    (base / "admindaemon").chmod(0o700)
    return program


def test_what_is_closed_to_the_daemons_is_found_and_opened_for_them_only(closed: Any, base: Path) -> None:
    assert closed.unreadable() == ["admindaemon", "groupware/ajp.properties"]
    closed.open_for_daemons()
    assert closed.unreadable() == []
    assert mode_of(base / "groupware/ajp.properties") == 0o640
    assert mode_of(base / "admindaemon") == 0o750
    assert mode_of(base / "groupware/mine.bak") == 0o600


def test_configuration_is_open_for_the_daemons_when_it_is_written(node: Node) -> None:
    opened: list[bool] = []
    node.program.open_for_daemons = lambda: opened.append(True)
    node.configure()
    assert opened == [True]


def test_host_without_the_daemons_user_has_nothing_closed() -> None:
    program = under_test(openxchange_state)
    program.USER = "no-such-user-of-ours"
    assert program.unreadable() == []


# --- configure -------------------------------------------------------------------------------------------


class Node:
    """A groupware node whose installer resets a file, as the real one does."""

    def __init__(self, base: Path, help_text: str = "--no-license") -> None:
        self.base = base
        self.program = configuring()
        self.program.BASE = str(base)
        self.program.STATE_DIRECTORY = str(base / "state")
        self.program.grp = SimpleNamespace(getgrnam=lambda _: ("", "", 7))
        self.commands = Commands({f"{self.program.INSTALLER} --help": help_text})
        self.program.run = self._run
        self.marks_before_installer: list[str] = []
        self.kept = base / "groupware/mail.properties"
        self.kept.write_text("mine=1\n")
        self.kept.chmod(0o604)
        (base / "groupware/system.properties").write_text("SERVER_NAME=local\n")
        (base / "groupware/configdb.properties").write_text(PROPERTIES)

    def _run(self, argv: list[str], **options: Any) -> Any:
        if argv[0] == self.program.INSTALLER and "--help" not in argv:
            self.marks_before_installer = self.marks()
            self.kept.write_text("reset\n")
        return self.commands(argv, **options)

    def marks(self) -> list[str]:
        return sorted(path.name for path in (self.base / "state").glob("*.pending"))

    def configure(self, keep: bool = True, set_up: bool = False) -> None:
        self.program.openxchange_configure(
            {
                "services": ["open-xchange-admin", "open-xchange-groupware"],
                "installer": ["--servername=oxserver"],
                "license": ["--no-license"],
                "set_up": set_up,
                "keep": [str(self.kept)] if keep else [],
                "values": {
                    "groupware/system.properties": {"SERVER_NAME": "oxserver"},
                    "groupware/configdb.properties": {"readProperty.2": f"password={DATABASE_PASSWORD}"},
                },
                "secret_files": ["groupware/configdb.properties"],
                "administrator": {"name": "oxadminmaster", "file": "admindaemon/mpasswd", "hash": "ab1234567890."},
            }
        )


MARKS = ["open-xchange-admin.pending", "open-xchange-groupware.pending"]


@pytest.fixture
def node(base: Path) -> Node:
    return Node(base)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_daemons_are_marked_for_a_restart_before_anything_is_written(node: Node) -> None:
    node.configure()
    assert node.marks_before_installer == MARKS


def test_passwords_are_written_to_closed_files_and_stand_on_no_command_line(node: Node) -> None:
    node.configure()
    configdb, mpasswd = node.base / "groupware/configdb.properties", node.base / "admindaemon/mpasswd"
    assert f"readProperty.2=password={DATABASE_PASSWORD}\n" in configdb.read_text()
    assert (mode_of(configdb), mode_of(mpasswd)) == (0o640, 0o640)
    assert mpasswd.read_text() == "oxadminmaster:ab1234567890.\n"
    assert not any(secret in line for line in node.commands.lines for secret in ("ab1234567890.", DATABASE_PASSWORD))


def test_files_of_before_and_what_became_of_them_are_noted_on_a_node_that_is_set_up(node: Node) -> None:
    node.program.BASE = str(node.base)
    node.configure(set_up=True)
    note = node.base / "state/open-xchange.before"
    assert mode_of(note) == 0o600
    noted = json.loads(note.read_text())
    changed = [path for path, old in noted["before"].items() if node.program.is_changed(path, old, noted["after"])]
    assert {Path(path).name for path in changed} >= {"configdb.properties", "system.properties"}


def test_other_administrators_are_kept_and_the_old_hash_is_not(node: Node) -> None:
    mpasswd = node.base / "admindaemon/mpasswd"
    mpasswd.write_text("oxadminmaster:old\nother:kept\n")
    node.configure()
    lines = mpasswd.read_text().splitlines()
    assert lines[0] == "other:kept"
    assert [line.split(":")[0] for line in lines] == ["other", "oxadminmaster"]
    assert "old" not in lines[1]


def test_other_files_keep_their_mode(node: Node) -> None:
    system = node.base / "groupware/system.properties"
    system.chmod(0o664)
    node.configure()
    assert (system.read_text(), mode_of(system)) == ("SERVER_NAME=oxserver\n", 0o664)


@pytest.mark.parametrize(("keep", "text"), [(True, "mine=1\n"), (False, "reset\n")])
def test_file_that_the_installer_resets_is_put_back(node: Node, keep: bool, text: str) -> None:
    node.configure(keep)
    assert (node.kept.read_text(), mode_of(node.kept)) == (text, 0o604)


@pytest.mark.parametrize(
    ("help_text", "arguments"),
    [("--no-license  do without", ["--servername=oxserver", "--no-license"]), ("", ["--servername=oxserver"])],
)
def test_licence_is_told_to_installers_that_know_of_it(base: Path, help_text: str, arguments: list[str]) -> None:
    node = Node(base, help_text)
    node.configure()
    installer = [argv for argv in node.commands.done if argv[0] == node.program.INSTALLER]
    assert installer[1][1:] == arguments
    assert all(options["env"]["USER"] == "root" for options in node.commands.options[:2])


def test_failed_installer_leaves_the_daemons_marked(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = Node(base)
    node.commands = Commands({f"{node.program.INSTALLER} --help": "", node.program.INSTALLER: 1})
    with pytest.raises(SystemExit):
        node.configure()
    assert "failed with exit code 1" in capsys.readouterr().err
    assert node.marks() == MARKS


def test_file_that_the_installer_reset_is_put_back_by_the_next_run(node: Node) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    replace_file, node.program.replace_file = node.program.replace_file, die
    with pytest.raises(KeyboardInterrupt):
        node.configure()
    node.program.replace_file = replace_file
    (note,) = (path for path in (node.base / "state").iterdir() if path.name not in MARKS)
    assert mode_of(note) == 0o600
    node.configure()
    assert node.kept.read_text() == "mine=1\n"
    assert not note.exists()


# --- configdb --------------------------------------------------------------------------------------------

SERVER = {
    "host": "192.0.2.21",
    "port": 3307,
    "database": "configdb",
    "user": "openexchange",
    "password": DATABASE_PASSWORD,
}


def asked(folder: Path, *contexts: int) -> dict[str, Any]:
    """What is asked of configdb."""
    return {"file": str(folder / "configdb.properties"), "tables": LAYOUT.tables, "contexts": list(contexts)}


def with_properties(program: Any, folder: Path, text: str = PROPERTIES) -> Any:
    (folder / "configdb.properties").write_text(text)
    program.STATE_DIRECTORY = str(folder / "state")
    return program


@pytest.mark.parametrize(
    ("url", "port"), [("jdbc:mysql://192.0.2.21:3307/configdb", 3307), ("jdbc:mysql://192.0.2.21/configdb", 3306)]
)
def test_write_host_is_read_from_the_nodes_own_settings(tmp_path: Path, url: str, port: int) -> None:
    text = PROPERTIES.replace("jdbc:mysql://192.0.2.21:3307/configdb", url)
    program = with_properties(under_test(configdb_state), tmp_path, text)
    assert program.settings(str(tmp_path / "configdb.properties")) == SERVER | {"port": port}


TABLES = [{"Tables_in_configdb": name} for name in sorted(LAYOUT.tables)]
CONFIGDB: dict[str, Any] = {
    "SELECT SCHEMA_NAME": [{"name": "configdb"}, {"name": "information_schema"}],
    "SHOW TABLES": TABLES,
    "SELECT db_pool_id": [
        {"id": 3, "name": "oxdatabase", "url": "jdbc:mysql://192.0.2.21", "login": "ox", "password": DATABASE_PASSWORD}
    ],
    "SELECT write_db_pool_id": [{"writer": 3, "reader": 4}],
    "SELECT name FROM server": [{"name": "oxserver"}],
    "SELECT uri FROM filestore": [{"uri": "file:///var/opt/filestore"}],
    "SELECT context.cid": [{"id": 1, "db_schema": "oxdb_5"}, {"id": 2, "db_schema": None}],
    "SELECT uid FROM `oxdb_5`": [{"uid": "oxadmin"}, {"uid": "anna"}],
}


def configdb(folder: Path, answers: dict[str, Any], contexts: tuple[int, ...] = (1, 2)) -> tuple[Registration, str]:
    program = with_properties(under_test(configdb_state), folder)
    program.connect = lambda *_: Session(answers)
    document = program.configdb_state(asked(folder, *contexts))
    return Registration.model_validate(document), str(document)


def test_registrations_are_told_without_the_password(tmp_path: Path) -> None:
    found, document = configdb(tmp_path, CONFIGDB)
    assert found.state == "complete"
    assert (found.servers, found.filestores) == (["oxserver"], ["file:///var/opt/filestore"])
    assert (found.pools[0].id, found.clusters) == (3, {3: 4})
    assert found.pools[0].password.matches(DATABASE_PASSWORD)
    assert {context.id: context.users for context in found.contexts} == {1: ["oxadmin", "anna"], 2: []}
    assert DATABASE_PASSWORD not in document


def test_no_contexts_are_not_asked_for(tmp_path: Path) -> None:
    assert configdb(tmp_path, CONFIGDB, ())[0].contexts == []


def test_missing_configdb_is_absent(tmp_path: Path) -> None:
    found, _ = configdb(tmp_path, CONFIGDB | {"SELECT SCHEMA_NAME": [{"name": "information_schema"}]})
    assert found == Registration(state=RegistrationState.ABSENT)


@pytest.mark.parametrize(
    ("filled", "state"),
    [
        ("", "incomplete"),
        ("configdb_sequence", "incomplete"),
        ("reason_text", "incomplete"),
        ("server", "damaged"),
        ("context", "damaged"),
    ],
)
def test_missing_tables_are_told_apart_by_what_the_others_hold(tmp_path: Path, filled: str, state: str) -> None:
    tables = [row for row in TABLES if row["Tables_in_configdb"] != "db_pool"]
    rows = {f"SELECT 1 FROM `{filled}`": [{"1": 1}]} if filled else {}
    found, _ = configdb(tmp_path, CONFIGDB | {"SHOW TABLES": tables} | rows)
    assert (found.state, found.error) == (state, "db_pool")


def test_server_that_refuses_is_not_an_empty_one(tmp_path: Path) -> None:
    program = with_properties(under_test(configdb_state), tmp_path)

    def connect(*_: object) -> None:
        raise OSError("no route to host")

    program.connect = connect
    assert program.configdb_state(asked(tmp_path)) == {"state": "no access", "error": "no route to host"}


def test_node_without_settings_has_no_access(tmp_path: Path) -> None:
    program = under_test(configdb_state)
    program.STATE_DIRECTORY = str(tmp_path)
    assert program.configdb_state(asked(tmp_path))["state"] == "no access"


def test_interrupted_creation_is_told_before_the_server_is_asked(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/configdb.password").touch()
    assert configdb(tmp_path, {})[0].state == "interrupted"


class Account:
    """The database account: knows which password it has, and refuses others."""

    def __init__(self, program: Any, password: str = DATABASE_PASSWORD) -> None:
        self.program = program
        self.hash = program.stored_hash(password)
        self.hashes: list[str] = []

    def connect(self, server: dict[str, Any], database: object = None, password: str | None = None) -> Session:
        if self.program.stored_hash(password or server["password"]) != self.hash:
            raise PermissionError("Access denied")
        return Session({"SET PASSWORD": self._set})

    def _set(self, values: list[str]) -> list[Any]:
        (self.hash,) = values
        self.hashes.append(self.hash)
        return []

    def is_real(self) -> bool:
        return bool(self.hash == self.program.stored_hash(DATABASE_PASSWORD))


@pytest.fixture
def creation(tmp_path: Path) -> Any:
    program = with_properties(under_test(openxchange_register), tmp_path)
    program.TEMPORARY = str(tmp_path / "state/configdb.password")
    vars(program).update(account=Account(program), server=program.settings(str(tmp_path / "configdb.properties")))
    program.connect = program.account.connect
    return program


ABSENT = {"SELECT @@GLOBAL.read_only": [{"value": 0}]}
THERE = ABSENT | {"SELECT 1 FROM information_schema": [{"1": 1}], "SHOW TABLES": TABLES}
EMPTY = THERE | {"SHOW TABLES": []}
FILLED = EMPTY | {"SHOW TABLES": [{"Tables": "server"}], "SELECT 1 FROM `server`": [{"1": 1}]}


@pytest.mark.parametrize(
    ("by_now", "recreate", "sentence"),
    [
        (THERE, False, "configdb exists by now (complete); nothing was changed; run again"),
        (EMPTY, False, "configdb exists by now (incomplete); nothing was changed; run again"),
        (THERE, True, "configdb exists by now (complete); nothing was changed; run again"),
        (FILLED, True, "configdb exists by now (damaged); nothing was changed; run again"),
        (
            {"SELECT @@GLOBAL.read_only": [{"value": 1}]},
            False,
            "the database server is read-only, so it is not the writer; nothing was changed; run again",
        ),
    ],
)
def test_configdb_that_is_there_by_now_is_not_made_again(
    creation: Any, by_now: Any, recreate: bool, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    creation.run_or_fail = lambda _: pytest.fail("initconfigdb ran")
    with pytest.raises(SystemExit):
        creation.configdb_init(Session(by_now), creation.server, LAYOUT.tables, recreate)
    assert capsys.readouterr().err == sentence + "\n"
    assert creation.account.hashes == []


@pytest.mark.parametrize("recreate", [True, False])
def test_configdb_is_created_with_a_password_that_ends_with_it(creation: Any, recreate: bool) -> None:
    seen: list[list[str]] = []

    def run_or_fail(argv: list[str]) -> None:
        seen.append(argv)
        assert mode_of(Path(creation.TEMPORARY)) == 0o600
        given = next(word for word in argv if word.startswith("--configdb-pass=")).partition("=")[2]
        assert creation.stored_hash(given) == creation.account.hash

    creation.run_or_fail = run_or_fail
    creation.configdb_init(Session(ABSENT), creation.server, LAYOUT.tables, recreate)
    ((tool, *arguments),) = seen
    assert tool == "/opt/open-xchange/sbin/initconfigdb"
    assert DATABASE_PASSWORD not in " ".join(arguments)
    assert "--configdb-host=192.0.2.21" in arguments
    assert "--configdb-port=3307" in arguments
    # -i drops a configdb that is there.
    assert ("-i" in arguments) is recreate
    assert creation.account.is_real()
    assert not Path(creation.TEMPORARY).exists()


def test_password_is_set_by_its_hash_only(creation: Any) -> None:
    creation.run_or_fail = lambda argv: None
    creation.configdb_init(Session(ABSENT), creation.server, LAYOUT.tables, False)
    assert len(creation.account.hashes) == 2
    assert all(value.startswith("*") and len(value) == 41 for value in creation.account.hashes)


def test_failed_creation_gives_the_password_back(creation: Any) -> None:
    def run_or_fail(_: object) -> None:
        raise SystemExit(1)

    creation.run_or_fail = run_or_fail
    with pytest.raises(SystemExit):
        creation.configdb_init(Session(ABSENT), creation.server, LAYOUT.tables, False)
    assert creation.account.is_real()
    assert not Path(creation.TEMPORARY).exists()


def test_interrupted_creation_gives_the_password_back_in_the_next_run(creation: Any) -> None:
    Path(creation.TEMPORARY).parent.mkdir()
    Path(creation.TEMPORARY).write_text("throw-away")
    creation.account.hash = creation.stored_hash("throw-away")
    creation.restore_password(creation.server)
    assert creation.account.is_real()
    assert not Path(creation.TEMPORARY).exists()


def test_interruption_before_the_password_was_set_is_harmless(creation: Any) -> None:
    Path(creation.TEMPORARY).parent.mkdir()
    Path(creation.TEMPORARY).write_text("throw-away")
    creation.restore_password(creation.server)
    assert creation.account.is_real()
    assert not Path(creation.TEMPORARY).exists()


def test_real_password_is_not_forgotten_while_the_server_is_down(creation: Any) -> None:
    def connect(*_: object, **__: object) -> None:
        raise OSError("server is down")

    Path(creation.TEMPORARY).parent.mkdir()
    Path(creation.TEMPORARY).write_text("throw-away")
    creation.connect = connect
    with pytest.raises(OSError, match="down"):
        creation.restore_password(creation.server)
    assert Path(creation.TEMPORARY).read_text() == "throw-away"


# --- the vendor's tools ----------------------------------------------------------------------------------

LOGIN = {"name": "oxadminmaster", "password": PASSWORD}
CHECK = {"tool": "listserver", "arguments": ["--csv"], "starting": 105}


def tool_program(**answers: Any) -> tuple[Any, Commands]:
    program = under_test(openxchange_register)
    program.run = Commands({program.SBIN + name: answer for name, answer in answers.items()})
    program.time = SimpleNamespace(monotonic=program.time.monotonic, sleep=lambda _: None)
    return program, program.run


def test_tool_gets_its_passwords_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    program, commands = tool_program()
    program.tool("createuser", ["-c", "1"], LOGIN, USER_PASSWORD)
    assert commands.lines == ["/opt/open-xchange/sbin/createuser -A oxadminmaster -c 1"]
    environment = commands.options[0]["env"]
    assert (environment["ADMIN_PASSWORD"], environment["NEW_USER_PASSWORD"]) == (PASSWORD, USER_PASSWORD)
    assert environment["PATH"] == os.environ["PATH"]


def test_tool_that_does_not_know_the_environment_gets_them_as_options() -> None:
    program, commands = tool_program(createuser=[104, 0])
    assert program.tool("createuser", [], LOGIN, USER_PASSWORD).returncode == 0
    assert commands.done[1][-4:] == ["-P", PASSWORD, "-p", USER_PASSWORD]


@pytest.mark.parametrize("code", [0, 1, 101, 105])
def test_tool_that_fails_for_another_reason_is_not_run_with_passwords_as_options(code: int) -> None:
    program, commands = tool_program(createuser=code)
    assert program.tool("createuser", [], LOGIN, USER_PASSWORD).returncode == code
    assert len(commands.done) == 1


def test_failed_tool_is_told_with_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    program, _ = tool_program(registerserver=2)
    with pytest.raises(SystemExit):
        program.tool_or_fail("registerserver", ["-n", "oxserver"], LOGIN)
    said = capsys.readouterr().err
    assert said == "registerserver failed with exit code 2: /opt/open-xchange/sbin/registerserver says no\n"


def test_admin_daemon_is_waited_for_while_it_refuses_connections() -> None:
    program, commands = tool_program(listserver=[105, 105, 0])
    program.wait_for_admin_daemon(CHECK, LOGIN, 60)
    assert len(commands.done) == 3


@pytest.mark.parametrize(
    ("code", "seconds", "sentence"),
    [
        (101, 1, "the admin daemon does not accept the password of oxadminmaster\n"),
        (2, 1, "the admin daemon does not answer (exit code 2): /opt/open-xchange/sbin/listserver says no\n"),
        (105, -1, "the admin daemon does not answer (exit code 105): /opt/open-xchange/sbin/listserver says no\n"),
    ],
)
def test_admin_daemon_that_will_not_answer_is_not_waited_for(
    capsys: pytest.CaptureFixture[str], code: int, seconds: float, sentence: str
) -> None:
    program, _ = tool_program(listserver=[code])
    with pytest.raises(SystemExit):
        program.wait_for_admin_daemon(CHECK, LOGIN, seconds)
    assert capsys.readouterr().err == sentence


JOB: dict[str, Any] = {
    "configdb": None,
    "administrator": LOGIN,
    "admin_check": CHECK,
    "daemons": {"services": [], "seconds": 1},
    "servers": ["oxserver"],
    "filestores": ["file:///var/opt/filestore"],
    "pools": [],
    "databases": [
        {"name": "oxdatabase", "host": "192.0.2.21", "user": "openexchange", "writer": None},
        {"name": "oxdatabase_slave", "host": "192.0.2.22", "user": "openexchange", "writer": "oxdatabase"},
    ],
    "passwords": [{"name": "oxdatabase", "password": DATABASE_PASSWORD}],
    "contexts": [
        {
            "id": 1,
            "name": "defaultcontext",
            "admin": "oxadmin",
            "admin_display_name": "Context Admin",
            "admin_email": "oxadmin@example.com",
            "quota": 1024,
            "access": "all",
            "password": USER_PASSWORD,
        }
    ],
    "users": [
        {
            "name": "anna",
            "display_name": "Anna B",
            "given_name": "Anna",
            "sur_name": "B",
            "email": "anna@example.com",
            "password": USER_PASSWORD,
            "context": 1,
            "administrator": {"name": "oxadmin", "password": "Vb8nMq2wEr5tYu7i"},
        }
    ],
}


# What is registered by the time of the order: nothing.
BY_NOW: dict[str, Any] = {
    "SELECT GET_LOCK": [{"value": 1}],
    "SHOW TABLES": TABLES,
    "SELECT db_pool_id AS id, name": [],
    "SELECT db_pool_id AS id FROM": [{"id": 42}],
}


def registered(
    tmp_path: Path, by_now: Mapping[str, Any] = BY_NOW, **changed: Any
) -> tuple[list[str], Session, list[str]]:
    """The tools that ran, the session with configdb, and what was done besides."""
    program, commands = tool_program()
    with_properties(program, tmp_path)
    session = Session(by_now)
    program.connect = lambda *_: session
    events: list[str] = []
    program.configdb_init = lambda session, server, tables, recreate: events.append(f"configdb {recreate}")
    program.daemons_start = lambda job: events.append("daemons")
    program.openxchange_register(JOB | asked(tmp_path) | {"contexts": JOB["contexts"]} | changed)
    lines = [line.removeprefix("/opt/open-xchange/sbin/") for line in commands.lines]
    return lines, session, events


def test_registration_goes_in_the_guides_order(tmp_path: Path) -> None:
    lines, session, events = registered(tmp_path, configdb="create")
    assert events == ["configdb False", "daemons"]
    assert [line.split()[0] for line in lines] == [
        "listserver",
        "registerserver",
        "registerfilestore",
        "registerdatabase",
        "registerdatabase",
        "createcontext",
        "createuser",
    ]
    assert lines[1].endswith("-A oxadminmaster -n oxserver")
    assert lines[2].endswith("-A oxadminmaster -t file:///var/opt/filestore")
    assert lines[-1].startswith("createuser -A oxadmin -c 1 -u anna -d Anna B")
    assert session.done[-1] == ("UPDATE db_pool SET password = %s WHERE name = %s", [DATABASE_PASSWORD, "oxdatabase"])


def test_slave_that_is_back_gets_its_address(tmp_path: Path) -> None:
    pools = [{"id": 4, "name": "oxdatabase_slave", "was": "x", "url": "jdbc:mysql://192.0.2.22/"}]
    _, session, _ = registered(tmp_path, pools=pools)
    update = ("UPDATE db_pool SET url = %s WHERE db_pool_id = %s AND url = %s", ["jdbc:mysql://192.0.2.22/", 4, "x"])
    begun = session.statements.index("BEGIN")
    assert session.done[begun : begun + 3] == [("BEGIN", None), update, ("COMMIT", None)]
    assert "BEGIN" not in registered(tmp_path)[1].statements


@pytest.mark.parametrize(
    ("configdb", "events"),
    [(None, ["daemons"]), ("create", ["configdb False", "daemons"]), ("recreate", ["configdb True", "daemons"])],
)
def test_configdb_is_dropped_only_where_its_creation_was_interrupted(
    tmp_path: Path, configdb: str | None, events: list[str]
) -> None:
    assert registered(tmp_path, configdb=configdb)[2] == events


def test_what_somebody_else_registered_meanwhile_is_left_out(tmp_path: Path) -> None:
    meanwhile = {
        "SELECT name FROM server": [{"name": "oxserver"}],
        "SELECT uri FROM filestore": [{"uri": "file:///var/opt/filestore"}],
        "SELECT db_pool_id AS id, name": CONFIGDB["SELECT db_pool_id"],
        "SELECT context.cid": [{"id": 1, "db_schema": "oxdb_5"}],
        "SELECT uid FROM `oxdb_5`": [{"uid": "oxadmin"}, {"uid": "anna"}],
    }
    lines, _, _ = registered(tmp_path, BY_NOW | meanwhile)
    assert [line.split(" --")[0] for line in lines] == [
        "listserver -A oxadminmaster",
        "registerdatabase -A oxadminmaster",
    ]
    assert "--name oxdatabase_slave" in lines[1]


def test_two_nodes_do_not_change_configdb_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        registered(tmp_path, BY_NOW | {"SELECT GET_LOCK": [{"value": 0}]})
    assert capsys.readouterr().err.startswith("another node is changing configdb; nothing was changed")


def test_slave_is_registered_with_the_id_of_its_master_looked_up(tmp_path: Path) -> None:
    lines, session, _ = registered(tmp_path)
    master, slave = [line for line in lines if line.startswith("registerdatabase")]
    assert master.endswith("--master true")
    assert slave.endswith("--master false --masterid=42")
    assert ("SELECT db_pool_id AS id FROM db_pool WHERE name = %s", ["oxdatabase"]) in session.done


def test_no_password_stands_on_a_command_line(tmp_path: Path) -> None:
    lines, _, _ = registered(tmp_path)
    for secret in (PASSWORD, DATABASE_PASSWORD, USER_PASSWORD, "Vb8nMq2wEr5tYu7i"):
        assert secret not in "\n".join(lines)
    throw_away = {line.split("--dbpasswd ")[1].split()[0] for line in lines if "--dbpasswd" in line}
    assert len(throw_away) == 2
    assert min(map(len, throw_away)) >= 20


def test_nothing_missing_runs_no_tool_but_the_question(tmp_path: Path) -> None:
    empty: dict[str, Any] = {key: [] for key in JOB if isinstance(JOB[key], list)}
    assert registered(tmp_path, **empty)[0] == ["listserver -A oxadminmaster --csv"]
