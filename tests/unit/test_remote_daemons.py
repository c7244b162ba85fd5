"""The programs that start daemons and look at sockets."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ox_deploy.facts.openxchange import Daemon, Daemons
from ox_deploy.remote.cache import peers as cache_peers
from ox_deploy.remote.common import sockets as common_sockets
from ox_deploy.remote.daemons import state as daemons_state
from ox_deploy.remote.daemons import undo as daemons_undo
from ox_deploy.remote.ox6 import start as ox6_start
from ox_deploy.remote.ox6 import wait as ox6_wait
from tests.unit.programs import Commands, altered, shown, under_test

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def socket_line(local: str, remote: str, state: str) -> str:
    return f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"


def with_sockets(program: Any, tcp: str = "", tcp6: str = "") -> Any:
    tables = {"/proc/net/tcp": HEADER + tcp, "/proc/net/tcp6": HEADER + tcp6}
    program.read = lambda path: tables[path].encode()
    return program


# 192.0.2.11:57462 (E076) with 192.0.2.12:40000 (9C40), and the same seen by Java, which opens IPv6 sockets.
LISTEN_57462 = socket_line("00000000:E076", "00000000:0000", "0A")
PREFIX = "0000000000000000FFFF0000"
PEER_TO_US = socket_line("0B0200C0:E076", "0C0200C0:9C40", "01")
WE_TO_PEER = socket_line(f"{PREFIX}0B0200C0:9C41", f"{PREFIX}0D0200C0:E076", "01")
CLOSING = socket_line("0B0200C0:E076", "0E0200C0:9C40", "06")
OTHER_PORT = socket_line("0B0200C0:0016", "0E0200C0:9C40", "01")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("0B0200C0", "192.0.2.11"),
        (f"{PREFIX}0B0200C0", "192.0.2.11"),
        ("0" * 32, "0.0.0.0"),
    ],
)
def test_address_is_read_in_the_kernels_notation(text: str, address: str) -> None:
    assert common_sockets.address_of(text) == address


def test_peers_are_found_on_either_side_of_a_connection() -> None:
    program = with_sockets(under_test(cache_peers), LISTEN_57462 + PEER_TO_US + CLOSING + OTHER_PORT, WE_TO_PEER)
    assert program.cache_peers({"ports": [57462, 57461]}) == {"192.0.2.12": [57462], "192.0.2.13": [57462]}


def test_port_that_is_only_connected_is_not_listened_on() -> None:
    program = with_sockets(under_test(daemons_state), LISTEN_57462 + OTHER_PORT)
    assert program.listening_ports() == {57462}


def test_kernel_without_ipv6_has_no_such_table() -> None:
    program = under_test(cache_peers)
    program.read = lambda path: (HEADER + PEER_TO_US).encode() if path == "/proc/net/tcp" else None
    assert program.cache_peers({"ports": [57462]}) == {"192.0.2.12": [57462]}


def test_joined_caches_end_the_waiting() -> None:
    program = with_sockets(under_test(ox6_wait), PEER_TO_US)
    program.ox6_wait({"peers": ["192.0.2.12"], "ports": [57462], "seconds": 0})


def test_missing_peers_are_named_with_their_ports(capsys: pytest.CaptureFixture[str]) -> None:
    program = with_sockets(under_test(ox6_wait), PEER_TO_US)
    with pytest.raises(SystemExit):
        program.ox6_wait({"peers": ["192.0.2.13", "192.0.2.12"], "ports": [57462, 57461], "seconds": -1})
    assert capsys.readouterr().err == (
        "the caches of this node are not connected to 192.0.2.12 (ports 57461); 192.0.2.13 (ports 57461, 57462) "
        "after -1 seconds; all nodes should share a link that carries multicast, and no firewall should block these "
        "ports\n"
    )


# --- daemons ---------------------------------------------------------------------------------------------


def test_state_of_daemons_is_what_the_fact_understands(tmp_path: Path) -> None:
    program = with_sockets(under_test(daemons_state), LISTEN_57462)
    program.STATE_DIRECTORY = str(tmp_path)
    (tmp_path / "b.pending").touch()
    program.run = Commands({"systemctl show": shown("a", "b")})
    document = program.daemons_state({"units": {"a": 57462, "b": 8009}})
    assert Daemons().parse(document) == {
        "a": Daemon(active=True, enabled=True, listening=True, pending=False),
        "b": Daemon(active=True, enabled=True, listening=False, pending=True),
    }


class Starter:
    """A host with one daemon; `listening` says how it answers, one question after the other."""

    def __init__(self, folder: Path, listening: list[bool], **unit: str) -> None:
        self.program = under_test(ox6_start)
        self.program.STATE_DIRECTORY = str(folder)
        self.program.run = self.commands = Commands(
            {"systemctl show": shown("x", **unit), "journalctl": "OutOfMemoryError\n"}
        )
        answers = itertools.chain(listening, itertools.repeat(listening[-1]))
        self.program.listens = lambda _: next(answers)
        clock = itertools.count()
        self.slept: list[float] = []
        self.program.time = SimpleNamespace(monotonic=lambda: next(clock), sleep=self.slept.append)
        self.mark = folder / "x.pending"
        self.mark.touch()

    def start(self, restart: bool = False, login: bool = False, undo: bool = False) -> list[str]:
        services = [{"name": "x", "port": 8009, "restart": restart}]
        proof = {"service": "x", "port": 8009, "context": "example.com"} if login else None
        job = {"services": services, "all": ["x"], "login": proof, "undo": undo, "seconds": 5, "settle_seconds": 6}
        self.program.ox6_start(job)
        return [line for line in self.commands.lines if " show " not in line]


DOWN = {"active": "inactive", "enabled": "disabled"}
STARTS: dict[str, tuple[list[bool], dict[str, str], bool, list[str]]] = {
    "down": ([False, False, True], DOWN, False, ["systemctl enable x", "systemctl start x"]),
    "not-at-boot": ([True], {"enabled": "disabled"}, False, ["systemctl enable x"]),
    "slow": ([False, False, True], {}, False, []),
    "restart": ([True], {}, True, ["systemctl restart x"]),
    "restart-of-one-that-is-down": ([True], DOWN, True, ["systemctl enable x", "systemctl restart x"]),
    "dead-without-systemd-noticing": ([False] * 8 + [True], {}, False, ["systemctl restart x"]),
}


@pytest.mark.parametrize(("listening", "unit", "restart", "wanted"), STARTS.values(), ids=STARTS)
def test_daemon_is_brought_up_and_uses_its_files(
    tmp_path: Path, listening: list[bool], unit: dict[str, str], restart: bool, wanted: list[str]
) -> None:
    starter = Starter(tmp_path, listening, **unit)
    assert starter.start(restart) == wanted
    assert not starter.mark.exists()
    assert starter.slept[-1] == 6


@pytest.mark.parametrize("unit", [{"loaded": "not-found"}, {"changed": "yes"}], ids=["new", "changed"])
def test_systemd_reads_units_only_if_they_changed(tmp_path: Path, unit: dict[str, str]) -> None:
    assert Starter(tmp_path, [True], **unit).start(restart=True) == ["systemctl daemon-reload", "systemctl restart x"]


@pytest.mark.parametrize(
    ("restart", "wanted"),
    [
        ((False, False), ["--no-block start x y", "start x", "start y"]),
        ((True, False), ["restart x", "start y"]),
        ((True, True), ["restart x", "restart y"]),
    ],
)
def test_daemons_that_are_down_start_together(tmp_path: Path, restart: tuple[bool, bool], wanted: list[str]) -> None:
    starter = Starter(tmp_path, [True])
    starter.program.run = commands = Commands({"systemctl show": shown("x", "y", active="inactive")})
    services = [{"name": name, "port": 8009, "restart": again} for name, again in zip("xy", restart, strict=True)]
    job = {"services": services, "all": ["x", "y"], "login": None, "undo": False, "seconds": 5, "settle_seconds": 0}
    starter.program.ox6_start(job)
    assert [line for line in commands.lines if " show " not in line] == [f"systemctl {each}" for each in wanted]


def test_daemon_that_does_not_listen_fails_with_its_log_and_stays_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starter = Starter(tmp_path, [False], **DOWN)
    with pytest.raises(SystemExit):
        starter.start()
    assert capsys.readouterr().err == ("x does not listen on port 8009 after 5 seconds; its log: OutOfMemoryError\n\n")
    assert starter.mark.exists()


def restarted(starter: Starter, problems: list[str | None], capsys: pytest.CaptureFixture[str]) -> str:
    """Restart daemons that answer logins so; what the failing program said."""
    answers = itertools.chain(problems, itertools.repeat(problems[-1]))
    starter.program.login_problem = lambda port, context: next(answers)
    with pytest.raises(SystemExit):
        starter.start(restart=True, login=True, undo=True)
    return capsys.readouterr().err


def test_daemon_that_listens_and_takes_no_login_does_not_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starter = Starter(tmp_path, [True])
    said = restarted(starter, ["a login is answered with 503"], capsys)
    assert said == "x listens, but a login is answered with 503; its log: OutOfMemoryError\n\n"
    assert starter.mark.exists()


def test_login_is_tried_until_it_is_answered(tmp_path: Path) -> None:
    starter, answers = Starter(tmp_path, [True]), iter(["it does not answer over AJP", None])
    starter.program.login_problem = lambda port, context: next(answers)
    starter.start(login=True)
    assert not starter.mark.exists()


class Configured(Starter):
    """A host whose daemons ran with one configuration and have got another one since."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, [True])
        self.file = folder / "etc/x.properties"
        self.file.parent.mkdir()
        self.file.write_text("old")
        self.program.BASE = str(self.file.parent)
        self.program.os = altered(os, fchown=lambda *_: None)
        self.program.keep_configuration()
        self.file.write_text("new")
        # A run that died had noted the old one, and the next one notes nothing newer.
        self.program.keep_configuration()
        self.program.note_configuration()
        self.note = folder / "open-xchange.before"


def test_daemons_that_do_not_work_get_the_files_back_that_they_ran_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Configured(tmp_path)
    said = restarted(host, ["a login is answered with 503"] * 6 + [None], capsys)
    assert said.startswith(
        "the daemons do not work with their new files; the old ones are back. x listens, but a login is "
    )
    assert "either" not in said
    assert host.file.read_text() == "old"
    assert host.commands.lines.count("systemctl restart x") == 2
    assert not host.mark.exists()
    assert not host.note.exists()


def test_daemons_that_do_not_work_with_the_old_files_either_stay_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Configured(tmp_path)
    said = restarted(host, ["a login is answered with 503"], capsys)
    assert "\nNor do they work with those: x listens, but a login is answered with 503" in said
    assert host.file.read_text() == "old"
    assert host.mark.exists()


def test_file_that_was_edited_since_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Configured(tmp_path)
    host.file.write_text("by hand")
    restarted(host, ["a login is answered with 503"] * 6 + [None], capsys)
    assert host.file.read_text() == "by hand"


def test_what_was_edited_after_one_run_is_what_the_next_one_puts_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Configured(tmp_path)
    host.file.write_text("by hand")
    host.program.keep_configuration()
    host.file.write_text("newer")
    host.program.note_configuration()
    restarted(host, ["a login is answered with 503"] * 6 + [None], capsys)
    assert host.file.read_text() == "by hand"


def test_daemons_do_not_go_back_to_another_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Configured(tmp_path)
    database = host.file.with_name("configdb.properties")
    database.write_text("readUrl=old")
    host.program.keep_configuration()
    database.write_text("readUrl=new")
    host.program.note_configuration()
    said = restarted(host, ["a login is answered with 503"] * 6 + [None], capsys)
    assert said.startswith("x listens, but a login is answered with 503")
    assert (host.file.read_text(), database.read_text()) == ("new", "readUrl=new")
    assert host.mark.exists()
    assert host.note.exists()


def test_files_of_before_are_forgotten_when_all_daemons_run_with_the_new_ones(tmp_path: Path) -> None:
    host = Configured(tmp_path)
    host.start(restart=True)
    assert host.file.read_text() == "new"
    assert not host.note.exists()


def test_files_of_before_are_kept_while_another_daemon_runs_with_them(tmp_path: Path) -> None:
    host = Configured(tmp_path)
    (tmp_path / "y.pending").touch()
    host.program.settle({"services": [{"name": "x"}], "all": ["x", "y"]})
    assert host.note.exists()


def test_daemons_that_run_on_get_their_files_back_without_a_restart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Configured(tmp_path)
    undo: Any = under_test(daemons_undo)
    undo.STATE_DIRECTORY = str(tmp_path)
    undo.os = host.program.os
    undo.run = host.commands
    with pytest.raises(SystemExit):
        undo.daemons_undo({"services": [{"name": "x"}], "all": ["x"], "sentence": "not restarted"})
    assert capsys.readouterr().err == "not restarted\n"
    assert host.file.read_text() == "old"
    assert not host.mark.exists()
    assert host.commands.lines == []
