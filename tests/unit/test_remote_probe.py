"""The service itself is asked: real servers on this machine, and ones that are not there."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ox_deploy.deploys.filestore import GANESHA_EXPORTS, KERNEL_EXPORTS, PATTERNS
from ox_deploy.deploys.web import SITE
from ox_deploy.operations.service import DatabaseProbe, ExportProbe, Probe, SiteProbe
from ox_deploy.remote.master_slaves.role import configure as role_configure
from ox_deploy.remote.service import configure as service_configure
from ox_deploy.templates import render
from tests.unit.programs import Clock, Commands, Session, shown, under_test

Serve = Callable[[socket.socket], None]


@contextmanager
def serving(serve: Serve) -> Iterator[int]:
    """A server on this machine that treats each connection so; gives its port."""
    listener, ended = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def loop() -> None:
        while not ended.is_set():
            session, _ = listener.accept()
            with session:
                try:
                    serve(session)
                except OSError:
                    continue

    thread = threading.Thread(target=loop)
    thread.start()
    port = listener.getsockname()[1]
    yield port
    ended.set()
    socket.create_connection(("127.0.0.1", port)).close()
    thread.join()
    listener.close()


def program(active: str = "active", module: ModuleType = service_configure) -> Any:
    loaded = under_test(module)
    loaded.run = Commands({"systemctl show": shown("x", active=active), "journalctl": "key too small\n"})
    loaded.time = Clock()
    return loaded


def job(probe: Probe, *units: str) -> dict[str, Any]:
    return {"units": list(units), "probe": asdict(probe)}


# --- units ---


def test_unit_that_died_does_not_work_and_its_log_is_shown(tmp_path: Path) -> None:
    (tmp_path / "error.log").write_text("1\n2\n3\n4\n5\n")
    said = program("failed").works(job(Probe(logs=(str(tmp_path / "error.log"),)), "x"), reloaded=False)
    assert said == "the unit x does not run; its log: key too small\n2\n3\n4\n5"


def test_service_that_needs_time_is_waited_for_but_not_for_ever() -> None:
    loaded = program()
    loaded.problem_now = lambda *_: None if loaded.time.now > 20 else "not yet"
    assert loaded.problem_of(job(Probe()), reloaded=False) is None
    loaded.problem_now = lambda *_: "never"
    begin = loaded.time.now
    assert loaded.problem_of(job(Probe()), reloaded=False) == "never"
    assert 30 <= loaded.time.now - begin < 31


def test_service_that_dies_a_moment_after_a_reload_does_not_work() -> None:
    loaded = program()
    loaded.problem_now = lambda *_: None if loaded.time.now < 0.5 else "the unit x does not run"
    assert loaded.problem_of(job(Probe()), reloaded=True) == "the unit x does not run"
    loaded.time = Clock()
    # systemd waits for a restart itself.
    assert loaded.problem_of(job(Probe()), reloaded=False) is None


# --- web server ---


def pair(folder: Path, name: str) -> tuple[str, str]:
    certificate, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    argv += ["-subj", f"/CN={name}", "-days", "2", "-out", certificate, "-keyout", key]
    subprocess.run(argv, check=True, capture_output=True)
    return certificate, key


def http(answer: bytes) -> Serve:
    def serve(session: socket.socket) -> None:
        if b"\r\nHost: ox.test\r\n" in session.recv(1000):
            session.sendall(answer)

    return serve


def https(folder: Path, answer: bytes = b"HTTP/1.1 302 Found\r\n\r\n") -> Serve:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair(folder, "web"))

    def serve(session: socket.socket) -> None:
        with context.wrap_socket(session, server_side=True) as inner:
            http(answer)(inner)

    return serve


def ask_web(port: int, certificate: str | None = None) -> str | None:
    problem: str | None = program().ask_web("127.0.0.1", port, "ox.test", certificate)
    return problem


def test_web_server_with_the_certificate_of_the_file_works(tmp_path: Path) -> None:
    with serving(https(tmp_path)) as port:
        assert ask_web(port, str(tmp_path / "web.pem")) is None


def test_other_certificate_than_the_one_in_the_file_is_named(tmp_path: Path) -> None:
    other, _ = pair(tmp_path, "other")
    with serving(https(tmp_path)) as port:
        assert ask_web(port, other) == f"https://127.0.0.1:{port}/ does not show the certificate in {other}"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 301 Moved\r\n\r\n", None),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", None),
        (b"HTTP/1.1 500 Error\r\n\r\n", "answered, but with 500"),
        (b"SSH-2.0\r\n", "answered, but with no HTTP"),
    ],
)
def test_answer_in_clear_is_looked_at(answer: bytes, problem: str | None) -> None:
    with serving(http(answer)) as port:
        found = ask_web(port)
    assert found == (problem and f"http://127.0.0.1:{port}/ {problem}")


def test_port_that_does_not_speak_tls_or_is_closed_does_not_answer(tmp_path: Path) -> None:
    with serving(http(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        certificate, _ = pair(tmp_path, "web")
        assert f"https://127.0.0.1:{port}/ did not answer: " in str(ask_web(port, certificate))
    assert str(ask_web(port)).endswith("did not answer: [Errno 111] Connection refused")


def test_virtual_hosts_are_those_of_the_site_that_is_written() -> None:
    proxy = {
        "members": [],
        "scheme": "ajp",
        "port": 1,
        "interface": "i",
        "paths": ["ajax"],
        "local_paths": ["soap"],
        "manager": "m",
        "hsts_seconds": None,
        "retry": 5,
        "balancer": "b",
    }
    text = render(SITE, web_name="ox.test", certificate_path="/c.pem", key_path="/k", **proxy)
    assert list(program().virtual_hosts(text)) == [(80, "ox.test", None), (443, "ox.test", "/c.pem")]


def test_site_is_asked_as_the_file_in_place_says_and_not_at_all_without_one(tmp_path: Path) -> None:
    loaded, asked = program(), []
    loaded.ask_web = lambda *wanted: asked.append(wanted)
    site = tmp_path / "site.conf"
    wanted = job(Probe(site=SiteProbe(str(site), "192.0.2.1")), "x")
    assert loaded.problem_now(**wanted) is None
    assert asked == []
    host = "<VirtualHost *:{}>\n    ServerName old.test\n</VirtualHost>\n"
    site.write_text(host.format(81) + host.format(82))
    # Apache was told not to listen on one of them; dead, it listens on none.
    for listening, ports in ([82], [82]), ([], [81, 82]):
        asked.clear()
        loaded.listens = listening.__contains__
        assert loaded.problem_now(**wanted) is None
        assert asked == [("192.0.2.1", port, "old.test", None) for port in ports]


# --- database server ---


def database(values: dict[str, str], listening: bool = True) -> Any:
    """The program, on a host whose server has these variables."""
    loaded = program(module=role_configure)
    variables = {"port": "3306", **values}
    rows = [{"Variable_name": name, "Value": value} for name, value in variables.items()]
    loaded.connect = lambda option_file, **_: Session({"SHOW GLOBAL VARIABLES": rows})
    loaded.listens = lambda port: listening and port == int(variables["port"])
    return loaded


@pytest.mark.parametrize(
    ("text", "values", "problem"),
    [
        # Nobody said so: these are what our file means.
        ("port = 3306", {"log_bin": "OFF"}, "`log_bin` is OFF, but {file} says ON"),
        ("port = 3306", {"skip_networking": "ON"}, "`skip_networking` is ON, but {file} says OFF"),
        ("", {"log_bin": "OFF"}, None),
        ("port = 3306\nserver-id = 1\nread_only = OFF", {"server_id": "1", "read_only": "OFF"}, None),
        ("read_only = OFF", {"read_only": "0"}, None),
        ("expire_logs_days = 7", {"expire_logs_days": "7.000000"}, None),
        ("port = 3307", {}, "`port` is 3306, but {file} says 3307"),
        (
            "bind-address = 192.0.2.1",
            {"bind_address": "0.0.0.0"},
            "`bind_address` is 0.0.0.0, but {file} says 192.0.2.1",
        ),
        # The last one counts, as for the server.
        ("read_only = OFF\nread_only = ON", {"read_only": "ON"}, None),
        ("# read_only = OFF\n[mysqld]", {"read_only": "ON"}, None),
        # Not ours to compare, or of another version.
        ("max_connections = 5000", {"max_connections": "214"}, None),
        ("semi = ON", {}, None),
    ],
)
def test_server_has_to_say_what_its_file_says(
    tmp_path: Path, text: str, values: dict[str, str], problem: str | None
) -> None:
    file = tmp_path / "ours.cnf"
    file.write_text(text)
    names = ("port", "server_id", "read_only", "expire_logs_days", "bind_address", "semi")
    wanted = job(Probe(database=DatabaseProbe((str(file), str(tmp_path / "fence")), names)), "x")
    found = database(values).problem_now(**wanted)
    assert (found and found.split("; ")[0]) == (
        problem and "the database server says that " + problem.format(file=file)
    )


def test_fence_is_read_after_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "ours.cnf").write_text("read_only = OFF")
    (tmp_path / "fence.cnf").write_text("read_only = ON")
    files = (str(tmp_path / "ours.cnf"), str(tmp_path / "fence.cnf"))
    wanted = job(Probe(database=DatabaseProbe(files, ("read_only",))), "x")
    assert database({"read_only": "ON"}).problem_now(**wanted) is None
    assert f"is OFF, but {files[1]} says ON" in database({"read_only": "OFF"}).problem_now(**wanted)


def test_server_that_nobody_can_log_in_at_or_that_does_not_listen_does_not_work() -> None:
    wanted = job(Probe(database=DatabaseProbe((), ())), "x")
    assert database({}, listening=False).problem_now(**wanted).endswith("nothing listens on port 3306")
    loaded = database({})

    def refuse(option_file: str | None, **_: int) -> None:
        raise OSError("no socket")

    loaded.connect = refuse
    assert loaded.problem_now(**wanted) == "a login of root at the database server failed: no socket"


# --- NFS server ---


def nfs(state: int = 0) -> Serve:
    """An NFS server that answers calls with a state of RFC 5531."""

    def serve(session: socket.socket) -> None:
        call = session.recv(1000)
        if call:
            session.sendall(struct.pack(">7I", 1 << 31 | 24, *struct.unpack(">I", call[4:8]), 1, state, 0, 0, 2))

    return serve


KERNEL = "/a 192.0.2.11(rw)\n/srv/ox  192.0.2.11(rw)\n"
GANESHA = '(tt)a(qs((sb)(sb))(tt)) 1 2 2 0 "/" "NFSv3" 6610 "/srv/ox" "NFSv3" false 0 0'


def ask_export(tmp_path: Path, port: int, file: str = "/srv/ox 192.0.2.11(rw)\n", listed: str = KERNEL) -> str | None:
    (tmp_path / "exports").write_text(file)
    loaded = program()
    loaded.run.answers["exportfs"] = listed
    probe = ExportProbe(str(tmp_path / "exports"), "127.0.0.1", port, PATTERNS["kernel"], ("exportfs", "-s"))
    problem: str | None = loaded.problem_now(**job(Probe(export=probe), "x"))
    return problem


@pytest.mark.parametrize("listed", [KERNEL, GANESHA, "/srv/ox"])
def test_export_that_is_listed_is_served(tmp_path: Path, listed: str) -> None:
    with serving(nfs()) as port:
        assert ask_export(tmp_path, port, listed=listed) is None


@pytest.mark.parametrize("listed", ["", "/srv/oxen *(rw)", "/mnt/srv/ox *(rw)", '"/srv/ox/"'])
def test_export_that_is_not_listed_is_named(tmp_path: Path, listed: str) -> None:
    with serving(nfs()) as port:
        found = ask_export(tmp_path, port, listed=listed)
    assert found == "the NFS server does not list /srv/ox among its exports"


def refuse(session: socket.socket) -> None:
    nfs(state=1)(session)


def hang_up(session: socket.socket) -> None:
    session.recv(1000)


@pytest.mark.parametrize("serve", [refuse, hang_up])
def test_server_that_does_not_answer_calls_does_not_work(tmp_path: Path, serve: Serve) -> None:
    with serving(serve) as port:
        found = str(ask_export(tmp_path, port))
    assert found.startswith(f"the NFS server did not answer at 127.0.0.1 port {port}: ")


def test_server_without_an_export_is_not_asked(tmp_path: Path) -> None:
    assert ask_export(tmp_path, 1, file="# Written by ox-deploy.\n") is None


def test_exports_are_found_in_the_files_that_are_written(tmp_path: Path) -> None:
    values = {"path": "/srv/ox", "uid": 1, "gid": 1, "clients": ["192.0.2.11", "192.0.2.12"]}
    texts = {"kernel": render(KERNEL_EXPORTS, **values), "ganesha": render(GANESHA_EXPORTS, export_id=1, **values)}
    re = program().re
    assert {kind: set(re.findall(PATTERNS[kind], text, re.MULTILINE)) for kind, text in texts.items()} == {
        "kernel": {"/srv/ox"},
        "ganesha": {"/srv/ox"},
    }


def test_probe_takes_no_longer_than_it_has_to() -> None:
    begin = time.monotonic()
    assert program().problem_of(job(Probe(), "x"), reloaded=False) is None
    assert time.monotonic() - begin < 0.5


# As Apache 2.4.62 shows them.
VIRTUAL_HOSTS = """VirtualHost configuration:
{0}:443         other.example.com (/etc/apache2/sites-enabled/other.conf:2)
*:80                   groupware.example.com (/etc/apache2/sites-enabled/00-open-xchange.conf:2)
*:443                  is a NameVirtualHost
         default server groupware.example.com (/etc/apache2/sites-enabled/00-open-xchange.conf:7)
         port 443 namevhost groupware.example.com (/etc/apache2/sites-enabled/00-open-xchange.conf:7)
"""
SEVERAL_NAMES = """VirtualHost configuration:
{0}:443         is a NameVirtualHost
         default server a.example.com (/etc/apache2/sites-enabled/other.conf:2)
         port 443 namevhost a.example.com (/etc/apache2/sites-enabled/other.conf:2)
"""


@pytest.mark.parametrize(
    ("shown", "file"),
    [
        (VIRTUAL_HOSTS.format("192.0.2.10"), "/etc/apache2/sites-enabled/other.conf"),
        (SEVERAL_NAMES.format("192.0.2.10"), "/etc/apache2/sites-enabled/other.conf"),
        (VIRTUAL_HOSTS.format("192.0.2.100"), None),
        ("", None),
    ],
)
def test_site_that_has_the_address_for_itself_is_named(shown: str, file: str | None) -> None:
    loaded = program()
    loaded.run = Commands({"apachectl -t -D DUMP_VHOSTS": shown})
    said = loaded.preferred_site("192.0.2.10", 443)
    assert said == (
        f"; {file} has a virtual host for 192.0.2.10:443, which wins over ours for all addresses: write `*:443` there, "
        "or remove it"
        if file
        else ""
    )


def test_site_that_answers_for_ours_is_named_with_what_it_shows(tmp_path: Path) -> None:
    other, _ = pair(tmp_path, "other")
    loaded = program()
    with serving(https(tmp_path)) as port:
        shown = VIRTUAL_HOSTS.format("127.0.0.1").replace(":443 ", f":{port} ")
        loaded.run = Commands({"apachectl -t -D DUMP_VHOSTS": shown})
        said = loaded.ask_web("127.0.0.1", port, "ox.test", other)
    assert f"does not show the certificate in {other}; /etc/apache2/sites-enabled/other.conf has a virtual" in said
