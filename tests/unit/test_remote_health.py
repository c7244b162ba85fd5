"""The program that looks whether a host is well: disks, the certificate in place, the balancer's members."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ox_deploy.facts.health import BalancerMember, Disk, Health
from ox_deploy.remote.host import health as host_health
from tests.unit.guide import Pair
from tests.unit.programs import under_test, with_environment

# Said by an Apache 2.4 of a node that answers, a dead one, one disabled, one drained (at another port), one stopped.
XML = (Path(__file__).parent / "data/balancer-manager.xml").read_bytes()
NOTHING: dict[str, Any] = {
    "disks": [],
    "places": [],
    "units": [],
    "database": None,
    "certificate": None,
    "balancer": None,
    "site": None,
}
MANAGER = "https://127.0.0.1/balancer-manager"


@pytest.fixture
def program() -> Any:
    return under_test(host_health)


def asked(program: Any, disks: list[str] | None = None, certificate: str | None = None) -> Health:
    return Health.model_validate(program.host_health({**NOTHING, "disks": disks or [], "certificate": certificate}))


def test_clock_is_told_and_nothing_that_was_not_asked(program: Any) -> None:
    before = time.time()
    health = asked(program)
    assert before <= health.time <= time.time()
    assert health == Health(time=health.time)


# --- disks -----------------------------------------------------------------------------------------------


def test_disk_is_told_as_users_can_write_on_it(program: Any, tmp_path: Path) -> None:
    here = os.statvfs(tmp_path)
    (disk,) = asked(program, disks=[str(tmp_path)]).disks
    assert (disk.path, disk.size) == (str(tmp_path), here.f_blocks * here.f_frsize)
    # Others write at the same time.
    assert disk.free == pytest.approx(here.f_bavail * here.f_frsize, abs=2**30)
    assert disk.free <= disk.size


def fake_stat(program: Any, folder: Path, script: str, **environment: str) -> None:
    """Put a script in the place of `stat`; its fourth argument is the path."""
    (folder / "stat").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "stat").chmod(0o755)
    with_environment(program, PATH=f"{folder}:{os.environ['PATH']}", **environment)


def test_blocks_are_counted_in_their_own_size(program: Any, tmp_path: Path) -> None:
    # In English, whatever the host speaks: what `stat` complains of is looked at.
    script = '[ "$LC_ALL $*" = "C -f -c %S %b %a /srv" ] && echo 4096 1000 250'
    fake_stat(program, tmp_path, script, LC_ALL="de_DE.UTF-8")
    assert asked(program, disks=["/srv"]).disks == [Disk(path="/srv", size=4096000, free=1024000)]


def test_path_that_does_not_exist_yet_is_told_by_its_nearest_parent(program: Any, tmp_path: Path) -> None:
    missing = str(tmp_path / "a/b")
    parent, disk = asked(program, disks=[str(tmp_path), missing]).disks
    assert (disk.path, disk.size) == (missing, parent.size)


def test_file_system_that_is_broken_is_not_told_by_its_parent(program: Any, tmp_path: Path) -> None:
    broken = f"stat: cannot read file system information for '{tmp_path}': Stale file handle"
    fake_stat(program, tmp_path, f'[ "$4" = "{tmp_path}" ] && {{ echo "{broken}" >&2; exit 1; }}; echo 1 1 1')
    assert asked(program, disks=[str(tmp_path), "/srv"]).disks == [Disk(path="/srv", size=1, free=1)]


def test_disk_that_does_not_answer_is_left_out_and_not_waited_for(program: Any, tmp_path: Path) -> None:
    # A process of its own holds the output, as a hanging one that is not dead yet.
    fake_stat(program, tmp_path, '[ "$4" = /hangs ] && { sleep 5; exit; }; echo 1 1 1')
    program.DISK_SECONDS = 0.2
    before = time.monotonic()
    assert asked(program, disks=["/hangs", "/srv"]).disks == [Disk(path="/srv", size=1, free=1)]
    assert time.monotonic() - before < 3


# --- the certificate -------------------------------------------------------------------------------------


def test_certificate_is_told_with_its_chain(program: Any, tmp_path: Path, pairs: tuple[Pair, Pair]) -> None:
    path = tmp_path / "web.pem"
    path.write_text(pairs[0].certificate + pairs[1].certificate)
    assert asked(program, certificate=str(path)).certificate == pairs[0].certificate + pairs[1].certificate


def test_key_in_the_same_file_stays_there(program: Any, tmp_path: Path, pairs: tuple[Pair, Pair]) -> None:
    path = tmp_path / "web.pem"
    path.write_bytes(b"f\xfcr uns\n" + f"{pairs[0].key}{pairs[0].certificate}{pairs[1].key}".encode())
    assert asked(program, certificate=str(path)).certificate == pairs[0].certificate


def test_key_in_the_midst_of_a_damaged_certificate_stays_there(
    program: Any, tmp_path: Path, pairs: tuple[Pair, Pair]
) -> None:
    begin, end = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"
    path = tmp_path / "web.pem"
    path.write_text(f"{begin}MIIB\n{pairs[0].key}{end}")
    assert asked(program, certificate=str(path)).certificate == ""


def test_certificate_that_is_not_there_is_none(program: Any, tmp_path: Path) -> None:
    assert asked(program, certificate=str(tmp_path / "web.pem")).certificate is None


# --- the balancer ----------------------------------------------------------------------------------------


class Apache(BaseHTTPRequestHandler):
    """Answers as Apache's balancer-manager: in XML if it is asked for with a referer of the same site."""

    status = 200
    page = XML

    def do_GET(self) -> None:
        asked = self.path == "/balancer-manager?xml=1" and self.headers["Host"] == "127.0.0.1"
        own = self.headers["Referer"] == MANAGER
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.page if asked and own else b"<!DOCTYPE HTML><html><body><hr></body></html>")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def apache(program: Any, tmp_path: Path, pairs: tuple[Pair, Pair]) -> Iterator[type[Apache]]:
    """An HTTPS server on this machine that the program asks; what it answers can be changed."""

    class Handler(Apache):
        pass

    (tmp_path / "pair.pem").write_text(pairs[0].key + pairs[0].certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        program.PORT = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield Handler
        server.shutdown()
        thread.join()


def members(program: Any, balancer: str = "oxcluster") -> tuple[list[BalancerMember] | None, str]:
    health = Health.model_validate(program.host_health({**NOTHING, "balancer": balancer}))
    return health.members, health.balancer_error


def member(number: int, factor: int, port: int = 8009, disabled: bool = False, error: bool = False) -> BalancerMember:
    url, route = f"ajp://192.0.2.1{number}:{port}", f"OX-{number}"
    return BalancerMember(url=url, route=route, factor=factor, disabled=disabled, error=error)


def test_members_are_told_as_apache_sees_them(program: Any, apache: type[Apache]) -> None:
    found, error = members(program)
    assert found == [
        member(1, factor=50),
        member(2, factor=25, error=True),
        member(3, factor=1, disabled=True),
        member(4, factor=2, port=8010, disabled=True),
        member(5, factor=2, disabled=True),
    ]
    assert error == ""


@pytest.mark.parametrize(
    ("status", "disabled", "error"),
    [
        (b"Init Ok ", False, False),
        (b"Init Stby Ok ", False, False),
        (b"Init Ign Err ", False, True),
        (b"Init HcFl ", False, True),
        (b"Init Dis Err ", True, True),
        (b"Ok ", False, False),
    ],
)
def test_states_of_a_member_are_told_apart(
    program: Any, apache: type[Apache], status: bytes, disabled: bool, error: bool
) -> None:
    apache.page = XML.replace(b"Init Ok ", status, 1)
    found, _ = members(program)
    assert found is not None
    assert found[0] == member(1, factor=50, disabled=disabled, error=error)


@pytest.mark.parametrize("text", [b"50", b"50.00"])
def test_factor_is_a_number_also_where_apache_shows_no_hundredths(
    program: Any, apache: type[Apache], text: bytes
) -> None:
    apache.page = XML.replace(b"50.00", text)
    found, _ = members(program)
    assert found is not None
    assert found[0].factor == 50


def test_other_balancer_is_not_taken_for_ours(program: Any, apache: type[Apache]) -> None:
    assert members(program, "oxcluster2") == (None, f"{MANAGER} shows no balancer oxcluster2")


def test_balancer_without_members_has_none_and_is_known(program: Any, apache: type[Apache]) -> None:
    begin, _, rest = XML.partition(b"<httpd:workers>")
    apache.page = begin + b"<httpd:workers>" + rest[rest.index(b"</httpd:workers>") :]
    assert members(program) == ([], "")


def test_refusal_is_told(program: Any, apache: type[Apache]) -> None:
    apache.status = 403
    assert members(program) == (None, f"{MANAGER} does not answer: 403 Forbidden")


def test_answer_that_is_no_xml_is_told(program: Any, apache: type[Apache]) -> None:
    apache.page = b"<!DOCTYPE HTML><html><body><hr></body></html>"
    assert members(program) == (None, f"{MANAGER} does not answer in XML")


def test_apache_that_does_not_run_is_told(program: Any) -> None:
    # Nothing can listen there.
    program.PORT = 0
    found, error = members(program)
    assert found is None
    assert error.startswith(f"{MANAGER} does not answer: [Errno ")


def test_server_without_tls_is_told(program: Any) -> None:
    with HTTPServer(("127.0.0.1", 0), Apache) as server:
        program.PORT = server.server_port
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found, error = members(program)
        thread.join()
    assert found is None
    assert "SSL" in error


def test_apache_that_hangs_is_given_up(program: Any) -> None:
    # Connections are taken by the system, and nobody looks at them.
    with HTTPServer(("127.0.0.1", 0), Apache) as server:
        program.PORT, program.SECONDS = server.server_port, 0.2
        before = time.monotonic()
        found, error = members(program)
    assert time.monotonic() - before < 3
    assert found is None
    assert error.startswith(f"{MANAGER} does not answer: ")
    assert "timed out" in error


def test_proxy_of_the_host_is_not_asked_for_the_host_itself(
    program: Any, apache: type[Apache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert members(program)[1] == ""


SITE = {"file": "/etc/apache2/sites-enabled/00-open-xchange.conf", "address": "192.0.2.10"}


@pytest.mark.parametrize(
    ("members", "said"), [([], "https://192.0.2.10:443/ does not show the certificate in /c"), (None, "")]
)
def test_site_is_asked_as_its_users_do_unless_apache_is_down(program: Any, members: Any, said: str) -> None:
    asked_for: list[Any] = []
    program.balancer_of = lambda _: (members, "")

    def ask(site: Any) -> str:
        asked_for.append(site)
        return "https://192.0.2.10:443/ does not show the certificate in /c"

    program.ask_site = ask
    health = Health.model_validate(program.host_health({**NOTHING, "balancer": "oxcluster", "site": SITE}))
    assert health.site_error == said
    assert asked_for == ([SITE] if said else [])


def test_site_that_works_is_no_error(program: Any) -> None:
    program.balancer_of = lambda _: ([], "")
    program.ask_site = lambda _: None
    assert program.host_health({**NOTHING, "balancer": "oxcluster", "site": SITE})["site_error"] == ""
