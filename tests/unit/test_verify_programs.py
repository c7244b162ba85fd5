"""The programs that `verify` sends to the hosts."""

from __future__ import annotations

import datetime
import http.server
import json
import ssl
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ox_deploy.facts.verify import FilestoreTrial, FrontEnd, LoginTrial, RouteTrial, SharedFiles
from ox_deploy.products.ox6.front_end import ADDRESSES as PRODUCTS_ADDRESSES
from ox_deploy.remote.master_slaves.verify import canary as verify_canary
from ox_deploy.remote.verify import filestore as verify_filestore
from ox_deploy.remote.verify import logins as verify_logins
from ox_deploy.remote.verify import mount as verify_mount
from ox_deploy.remote.verify import route as verify_route
from ox_deploy.remote.verify import web as verify_web
from ox_deploy.topologies.master_slaves.facts.canary import Canary, CanaryTrial
from tests.unit.programs import Commands, Session, under_test

PASSWORD = "Zc4qLw8mPn2rTx6v"


# --- The canary -------------------------------------------------------------------------------------------

DATABASE = "ox_verify_c0ffee"
NOW = datetime.datetime(2026, 11, 22, 12, 0, 0, 123456)


@pytest.fixture
def canary() -> Any:
    program = under_test(verify_canary)
    program.shutil = SimpleNamespace(which=lambda name: f"/usr/bin/{name}")
    program.run = Commands()
    program.PATIENCE_SECONDS = program.SETTLE_SECONDS = 0
    return program


LOOK = "SELECT @@GLOBAL.read_only AS value"


def step(
    program: Any, name: Any, session: Session | None = None, option_file: str | None = None, ticket: Any = ()
) -> CanaryTrial:
    """Go through a step as the fact has it done."""
    if session is not None:
        session.answers.setdefault("SELECT @@GLOBAL.read_only", [{"value": 0}])
        program.connect = lambda option_file: session
    command = Canary().command(name, "c0ffee", option_file, ticket)
    return Canary().parse(json.loads(json.dumps(program.verify_canary(command.arguments))))


def test_database_is_made_only_after_systemd_has_the_order_to_drop_it(canary: Any) -> None:
    session = Session({"SELECT UTC_TIMESTAMP": [{"now": NOW}]})
    commands = canary.run

    def run(argv: list[str]) -> Any:
        assert session.statements == [LOOK]
        return commands(argv)

    canary.run = run
    assert step(canary, "create", session) == CanaryTrial(error="")
    assert [statement.split()[0] for statement in session.statements] == [
        "SELECT",
        "SET",
        "CREATE",
        "CREATE",
        "SELECT",
        "INSERT",
    ]
    assert session.done[-1] == ("INSERT INTO `ox_verify_c0ffee`.canary VALUES (%s)", [NOW])
    (argv,) = commands.done
    assert argv == [
        *("systemd-run", "--quiet", "--collect", "--unit=ox-verify-c0ffee-database"),
        *("--on-active=120", "--timer-property=AccuracySec=1s"),
        *("/usr/bin/mariadb", "--no-defaults", "--user=root", "--socket=/run/mysqld/mysqld.sock"),
        f"--execute=DROP DATABASE IF EXISTS `{DATABASE}`",
    ]


def test_no_statement_touches_another_database(canary: Any) -> None:
    session = Session({"SELECT UTC_TIMESTAMP": [{"now": NOW}], "SELECT TIMESTAMPDIFF": [{"age": 1}]})
    for name in ("create", "see", "drop", "gone"):
        assert step(canary, name, session).error == ""
    for statement, values in session.done:
        general = statement.startswith(("SET SESSION lock_wait_timeout", "SELECT UTC_TIMESTAMP", LOOK))
        assert general or f"`{DATABASE}`" in statement or values == [DATABASE]


def test_nothing_is_made_if_systemd_does_not_take_the_order(canary: Any) -> None:
    canary.run = Commands({"systemd-run": 1})
    session = Session()
    trial = step(canary, "create", session)
    assert trial.error == "nothing was tried, because systemd would not clean up after us: systemd-run says no"
    assert session.statements == [LOOK]


def test_nothing_is_made_on_a_server_that_is_no_master(canary: Any) -> None:
    for name in ("create", "drop"):
        session = Session({LOOK: [{"value": 1}]})
        assert step(canary, name, session).error == (
            "this server is read-only, so it is not the master; nothing was written"
        )
        assert session.statements == [LOOK]
    assert canary.run.done == []


def test_nothing_is_made_by_a_run_that_lost_its_lease(canary: Any) -> None:
    session = Session()
    assert "lost the lease of the cluster" in step(canary, "create", session, ticket=[7, "a1"]).error
    assert session.statements == []


def test_guard_uses_the_client_and_the_option_file_that_there_are(canary: Any) -> None:
    canary.shutil = SimpleNamespace(which=lambda name: "/usr/bin/mysql" if name == "mysql" else None)
    step(canary, "create", Session({"SELECT UTC": [{"now": NOW}]}), option_file="/root/my.cnf")
    assert canary.run.done[0][6:9] == [
        "/usr/bin/mysql",
        "--defaults-file=/root/my.cnf",
        "--socket=/run/mysqld/mysqld.sock",
    ]
    canary.shutil = SimpleNamespace(which=lambda name: None)
    assert "no command" in step(canary, "create", Session()).error


def test_server_that_refuses_is_told(canary: Any) -> None:
    session = Session({"CREATE DATABASE": RuntimeError("(1044, 'Access denied')")})
    assert step(canary, "create", session).error == "(1044, 'Access denied')"


class Missing(Exception):
    """What pymysql raises for a database or table that is not there."""


def test_slave_waits_for_the_row_and_tells_its_age(canary: Any) -> None:
    canary.PATIENCE_SECONDS = 5
    answers: list[Any] = [Missing(1049, "Unknown database"), Missing(1146, "No such table"), [], [{"age": 34500}]]
    session = Session({"SELECT TIMESTAMPDIFF": lambda _: answers.pop(0)})
    assert step(canary, "see", session) == CanaryTrial(error="", age=0.0345)
    assert answers == []


def test_slave_gives_up_after_a_while(canary: Any) -> None:
    canary.PATIENCE_SECONDS = 0.05
    begun = time.monotonic()
    assert step(canary, "see", Session()) == CanaryTrial(error="", age=None)
    assert time.monotonic() - begun < 1


def test_other_error_of_a_slave_is_told_at_once(canary: Any) -> None:
    canary.PATIENCE_SECONDS = 60
    session = Session({"SELECT TIMESTAMPDIFF": Missing(1045, "Access denied")})
    assert "Access denied" in step(canary, "see", session).error


def test_dropped_database_needs_no_timer(canary: Any) -> None:
    session = Session()
    assert step(canary, "drop", session).error == ""
    assert session.statements[-1] == f"DROP DATABASE IF EXISTS `{DATABASE}`"
    assert canary.run.lines == ["systemctl stop ox-verify-c0ffee-database.timer"]


def test_timer_stays_if_the_database_cannot_be_dropped(canary: Any) -> None:
    assert step(canary, "drop", Session({"DROP": Missing(1205, "Lock wait timeout")})).error
    assert canary.run.done == []


@pytest.mark.parametrize(("there", "gone"), [([[{"1": 1}], []], True), ([[{"1": 1}]] * 1_000_000, False)])
def test_slave_waits_until_the_database_is_gone(canary: Any, there: list[Any], gone: bool) -> None:
    canary.PATIENCE_SECONDS = 0.1
    session = Session({"SELECT 1 FROM information_schema": lambda _: there.pop(0)})
    assert step(canary, "gone", session) == CanaryTrial(error="", gone=gone)


def test_server_that_cannot_be_reached_is_told(canary: Any) -> None:
    def connect(_: Any) -> None:
        raise ConnectionRefusedError("(2002, 'no socket')")

    canary.connect = connect
    for name in ("create", "see", "drop", "gone"):
        assert step(canary, name).error == "(2002, 'no socket')"


# --- The filestore ----------------------------------------------------------------------------------------


class Store:
    """Nodes that share a folder of this machine; no other user, and no systemd."""

    def __init__(self, path: Path) -> None:
        self.path, self.guards = path, Commands()

    def step(self, name: Any, node: str, nodes: tuple[str, ...] = ("oxgw01", "oxgw02", "oxgw03")) -> FilestoreTrial:
        program = under_test(verify_filestore)
        program.run = self.guards
        program.as_user = lambda argv: ["timeout", "-s", "KILL", "1", *argv]
        program.COMMAND_SECONDS, program.PATIENCE_SECONDS = 1, 0.5
        command = SharedFiles().command(
            step=name,
            path=str(self.path),
            run="c0ffee",
            node=node,
            nodes=list(nodes),
        )
        return SharedFiles().parse(json.loads(json.dumps(program.verify_filestore(command.arguments))))

    @property
    def names(self) -> set[str]:
        return {path.name for path in self.path.iterdir()}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_command_of_the_user_ends_in_any_case() -> None:
    assert verify_filestore.as_user(["cat", "/f"]) == [
        *("runuser", "-u", "open-xchange", "--", "timeout", "-s", "KILL", "5", "cat", "/f"),
    ]


def test_files_are_written_seen_and_removed(store: Store) -> None:
    nodes = ("oxgw01", "oxgw02", "oxgw03")
    for node in nodes:
        assert store.step("write", node) == FilestoreTrial(error="")
    assert store.names == {f".ox-verify-c0ffee-{node}" for node in nodes}
    owner = f"{store.path.stat().st_uid}:{store.path.stat().st_gid}"
    for node in nodes:
        seen = store.step("see", node).files
        assert {name: (file.owner, file.text) for name, file in seen.items()} == {name: (owner, name) for name in nodes}
    removers = [threading.Thread(target=store.step, args=("remove", node)) for node in nodes]
    for thread in removers:
        thread.start()
    for thread in removers:
        thread.join()
    assert store.names == set()


def test_file_is_written_only_after_systemd_has_the_order_to_remove_it(store: Store) -> None:
    store.step("write", "oxgw01")
    (argv,) = store.guards.done
    assert argv[:6] == [
        *("systemd-run", "--quiet", "--collect", "--unit=ox-verify-c0ffee-filestore"),
        *("--on-active=120", "--timer-property=AccuracySec=1s"),
    ]
    assert argv[-3:] == ["rm", "-f", f"{store.path}/.ox-verify-c0ffee-oxgw01"]
    store.guards = Commands({"systemd-run": 1})
    assert "systemd would not clean up" in store.step("write", "oxgw02").error
    assert store.names == {".ox-verify-c0ffee-oxgw01"}


def test_file_that_is_there_is_not_overwritten(store: Store) -> None:
    (store.path / ".ox-verify-c0ffee-oxgw01").write_text("theirs\n")
    assert "exist" in store.step("write", "oxgw01").error
    assert store.step("see", "oxgw02").files["oxgw01"].text == "theirs"


def test_directory_that_is_missing_is_told(store: Store) -> None:
    store.path = store.path / "nothing"
    assert "nonexistent" in store.step("write", "oxgw01").error or "No such" in store.step("write", "oxgw01").error


def test_file_that_cannot_be_read_is_not_seen(store: Store) -> None:
    store.step("write", "oxgw01")
    (store.path / ".ox-verify-c0ffee-oxgw02").mkdir()
    assert set(store.step("see", "oxgw03").files) == {"oxgw01"}


def test_node_removes_the_file_of_the_next_and_its_own_if_nobody_does(store: Store) -> None:
    for node in ("oxgw01", "oxgw02", "oxgw03"):
        store.step("write", node)
    store.guards.done.clear()
    trial = store.step("remove", "oxgw03")
    assert sorted(trial.left) == ["oxgw02", "oxgw03"]
    assert store.names == {".ox-verify-c0ffee-oxgw02"}
    assert store.guards.lines == ["systemctl stop ox-verify-c0ffee-filestore.timer"]


def test_only_node_removes_its_own(store: Store) -> None:
    store.step("write", "oxgw01", ("oxgw01",))
    assert store.step("remove", "oxgw01", ("oxgw01",)) == FilestoreTrial(error="")
    assert store.names == set()


def test_filestore_that_does_not_answer_is_given_up(store: Store) -> None:
    subprocess.run(["mkfifo", str(store.path / ".ox-verify-c0ffee-oxgw01")], check=True)
    begun = time.monotonic()
    assert store.step("see", "oxgw02").error == "the filestore does not answer within 1 seconds"
    assert time.monotonic() - begun < 5


def test_timer_stays_if_the_filestore_does_not_answer(store: Store) -> None:
    subprocess.run(["mkfifo", str(store.path / ".ox-verify-c0ffee-oxgw01")], check=True)
    assert "does not answer" in store.step("remove", "oxgw02").error
    assert store.guards.done == []


def test_mount_is_told_without_touching_it() -> None:
    program = under_test(verify_mount)
    line = b"192.0.2.21:/var/opt/filestore /var/opt/filestore nfs4 rw 0 0\n"
    program.read = lambda path: line if path == "/proc/self/mounts" else None
    mount = {"source": "192.0.2.21:/var/opt/filestore", "type": "nfs4"}
    assert program.verify_mount({"path": "/var/opt/filestore"}) == {"error": "", "mount": mount}
    assert program.verify_mount({"path": "/srv"}) == {"error": "", "mount": None}


# --- The multicast route ----------------------------------------------------------------------------------

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
LINK = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
MULTICAST = "eth1\t000000E0\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n"
WIDER = "eth2\t000000E0\t00000000\t0001\t0\t0\t0\t000000F0\t0\t0\t0\n"
DOWN = MULTICAST.replace("0001", "0000")
EXPENSIVE = MULTICAST.replace("eth1", "eth3").replace("0001\t0\t0\t0", "0001\t0\t0\t100")
ADDRESSES = json.dumps(
    [
        {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1"}]},
        {"ifname": "eth1", "addr_info": [{"local": "198.51.100.7"}, {"local": "192.0.2.11"}]},
        {},
    ]
)


@pytest.mark.parametrize(
    ("table", "network", "interface"),
    [
        (DEFAULT + LINK + MULTICAST, "224.0.0.0/8", "eth1"),
        (WIDER + MULTICAST + DEFAULT, "224.0.0.0/8", "eth1"),
        (WIDER + DEFAULT, "224.0.0.0/4", "eth2"),
        (EXPENSIVE + MULTICAST, "224.0.0.0/8", "eth1"),
        (MULTICAST + EXPENSIVE, "224.0.0.0/8", "eth1"),
        (DEFAULT + LINK + DOWN, "0.0.0.0/0", "eth0"),
        (LINK, None, None),
        ("", None, None),
    ],
)
def test_most_specific_route_is_told(table: str, network: str | None, interface: str | None) -> None:
    program = under_test(verify_route)
    program.read = lambda path: (HEADER + table).encode() if path == "/proc/net/route" else None
    program.run = Commands({"ip -json": ADDRESSES})
    trial = RouteTrial.model_validate(program.verify_route({"group": "224.0.0.1", "address": "192.0.2.11"}))
    assert trial.error == ""
    assert (trial.route and (trial.route.network, trial.route.interface)) == (network and (network, interface))
    assert trial.interface == "eth1"


def test_address_that_no_interface_has_is_told() -> None:
    program = under_test(verify_route)
    program.read = lambda _: (HEADER + MULTICAST).encode()
    program.run = Commands({"ip -json": ADDRESSES})
    assert program.verify_route({"group": "224.0.0.1", "address": "192.0.2.99"})["interface"] is None


def test_routes_of_this_machine_can_be_read() -> None:
    assert RouteTrial.model_validate(verify_route.verify_route({"group": "224.0.0.1", "address": ""})).error == ""


# --- The web host -----------------------------------------------------------------------------------------

NAME = "groupware.example.com"


def make_certificate(folder: Path, name: str = NAME, self_signed: bool = True) -> tuple[Path, Path]:
    """A certificate that is valid now, without the one that signed it, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = key if self_signed else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example CA")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if self_signed else issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


class Balancer:
    """Apache with its nodes: what the programs ask of them, with sessions that only their node knows."""

    def __init__(self) -> None:
        self.routes = ["OX-1", "OX-2"]
        self.sticky = True
        self.turn = 0
        self.sessions: dict[str, str] = {}
        self.broken: Callable[[str], bool] = lambda path: False
        self.hosts: set[str | None] = set()
        self.logins: list[dict[str, str]] = []
        self.asked: list[str] = []
        self.lock = threading.Lock()

    def answer(self, method: str, url: str, cookies: str, form: str) -> tuple[int, dict[str, str], str]:
        with self.lock:
            path, _, query = url.partition("?")
            values = dict(urllib.parse.parse_qsl(query))
            if self.broken(path + "?" + values.get("action", "")):
                return 503, {}, "<h1>Service Unavailable</h1>"
            return self.route(method, path, values, cookies, dict(urllib.parse.parse_qsl(form)))

    def route(
        self, method: str, path: str, values: dict[str, str], cookies: str, form: dict[str, str]
    ) -> tuple[int, dict[str, str], str]:
        known = cookies.rpartition("JSESSIONID=")[2].partition(";")[0].rpartition(".")[2]
        if not (known and self.sticky):
            known = self.routes[self.turn % len(self.routes)]
            self.turn += 1
        if (path, values["action"], method) == ("/ajax/login", "login", "POST"):
            return self.login(known, form)
        session = values["session"]
        if self.sessions.get(session) != known:
            return 200, {}, json.dumps({"error": "Your session expired.", "code": "SES-0203"})
        if values["action"] == "logout":
            del self.sessions[session]
            return 200, {}, ""  # as OX does, without a body
        assert "ox-secret=xyz" in cookies
        self.asked.append(path)
        return 200, {}, json.dumps({"error": "Unknown value", "code": "SVL-0001"})

    def login(self, route: str, form: dict[str, str]) -> tuple[int, dict[str, str], str]:
        self.logins.append(form)
        if form["password"] != PASSWORD:
            return 200, {}, json.dumps({"error": "The user name or password is incorrect.", "code": "LGI-0006"})
        session = f"session{len(self.logins)}"
        self.sessions[session] = route
        cookie = f"JSESSIONID={session}.{route}; Path=/; HttpOnly" if route else "other=1"
        return 200, {"Set-Cookie": cookie}, json.dumps({"session": session})


@pytest.fixture
def balancer() -> Balancer:
    return Balancer()


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path, balancer: Balancer) -> Iterator[tuple[str, int]]:
    """Where the balancer listens; its certificate is self-signed unless a test says otherwise."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def respond(self) -> None:
            balancer.hosts.add(self.headers["Host"])
            form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            status, headers, text = balancer.answer(self.command, self.path, self.headers.get("Cookie", ""), form)
            self.send_response(status)
            for header, value in headers.items():
                self.send_header(header, value)
            if "Set-Cookie" in headers:
                self.send_header("Set-Cookie", "ox-secret=xyz; Path=/")
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = respond

        def log_message(self, format: str, *args: object) -> None:
            pass

    certificate, key = make_certificate(tmp_path, self_signed=getattr(request, "param", True))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # A browser that does not like the certificate hangs up.
    vars(server)["handle_error"] = lambda request, client_address: None
    # The handshake in the thread of the request, so that a browser that refuses does not hold up the others.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield "127.0.0.1", server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def logins(address: tuple[str, int], tmp_path: Path) -> Callable[..., LoginTrial]:
    def log_in(
        count: int = 20, requests: int = 5, password: str = PASSWORD, seconds: int = 40, at_once: int = 4
    ) -> LoginTrial:
        program = under_test(verify_logins)
        program.HTTPS_PORT, program.ALL_SECONDS, program.AT_ONCE = address[1], seconds, at_once
        job = {
            "address": address[0],
            "web_name": NAME,
            "certificate": str(tmp_path / f"{NAME}.pem"),
            "login": "testuser@defaultcontext",
            "password": password,
            "count": count,
            "requests": requests,
            "addresses": asdict(PRODUCTS_ADDRESSES),
        }
        document = json.dumps(program.verify_logins(job))
        assert PASSWORD not in document
        return LoginTrial.model_validate_json(document)

    return log_in


def test_logins_reach_the_nodes_in_turn_and_leave_no_session(balancer: Balancer, logins: Callable[..., Any]) -> None:
    balancer.routes = ["OX-1", "OX-2", "OX-1"]
    trial = logins(count=30)
    assert trial == LoginTrial(error="", routes={"OX-1": 20, "OX-2": 10}, failures={}, moved=0, requests=34)
    assert balancer.sessions == {}
    assert balancer.hosts == {NAME}
    assert balancer.logins == [{"name": "testuser@defaultcontext", "password": PASSWORD}] * 30
    assert balancer.asked == ["/ajax/infostore"] * 34


def test_wrong_password_is_tried_once_only(balancer: Balancer, logins: Callable[..., Any]) -> None:
    assert logins(password="wrong").error == "The user name or password is incorrect."
    assert len(balancer.logins) == 1


def test_session_that_moves_is_counted(balancer: Balancer, logins: Callable[..., Any]) -> None:
    balancer.sticky = False
    trial = logins(count=1, requests=4)
    # Every second request meets the node that knows the session.
    assert (trial.error, trial.moved, trial.requests) == ("", 2, 4)


def test_session_of_a_later_login_that_moves_is_counted_too(balancer: Balancer, logins: Callable[..., Any]) -> None:
    balancer.sticky = False
    trial = logins(count=9, requests=0, at_once=1)
    assert 0 < trial.moved <= trial.requests == 8


def test_logins_that_fail_are_counted_by_what_was_said(balancer: Balancer, logins: Callable[..., Any]) -> None:
    failures = [True]
    balancer.broken = lambda path: path == "/ajax/login?login" and len(balancer.logins) == 5 and failures.pop()
    trial = logins(count=6)
    assert trial.routes == {"OX-1": 3, "OX-2": 2}
    assert trial.failures == {"/ajax/login is answered with 503 Service Unavailable": 1}


def test_session_that_cannot_be_used_is_logged_out(balancer: Balancer, logins: Callable[..., Any]) -> None:
    balancer.broken = lambda path: path.startswith("/ajax/infostore")
    assert "503" in logins().error
    assert balancer.sessions == {}


def test_login_without_a_route_is_counted_as_such(balancer: Balancer, logins: Callable[..., Any]) -> None:
    balancer.routes = [""]
    assert logins(count=3, requests=0).routes == {"": 3}


def test_logins_end_when_their_time_is_over(balancer: Balancer, logins: Callable[..., Any]) -> None:
    trial = logins(count=20, seconds=-1)
    assert trial.failures == {"there was no time left": 19}
    assert len(balancer.logins) == 1


def test_answer_that_is_no_json_is_told(balancer: Balancer, logins: Callable[..., Any]) -> None:
    vars(balancer)["login"] = lambda route, form: (200, {}, "<html>")
    assert logins().error == "/ajax/login is not answered in JSON"


def front_end(address: tuple[str, int], folder: Path, name: str = NAME, certificate: str = NAME) -> FrontEnd:
    program = under_test(verify_web)
    program.HTTPS_PORT = address[1]
    program.HTTP_PORT = address[1] if address[1] else 1
    job = {
        "address": address[0],
        "web_name": name,
        "certificate": str(folder / f"{certificate}.pem"),
        "site": str(folder / "site.conf"),
    }
    return FrontEnd.model_validate_json(json.dumps(program.verify_web(job)))


@pytest.mark.parametrize("address", [True, False], indirect=True, ids=["self-signed", "without-its-root"])
def test_deployed_certificate_is_accepted_without_its_root(address: tuple[str, int], tmp_path: Path) -> None:
    certificate = front_end(address, tmp_path).certificate
    assert (certificate.error, certificate.refused) == ("", "")


def test_another_certificate_is_refused(address: tuple[str, int], tmp_path: Path) -> None:
    make_certificate(tmp_path, "other.example.com")
    assert "certificate" in front_end(address, tmp_path, certificate="other.example.com").certificate.refused


def test_certificate_for_another_name_is_refused(address: tuple[str, int], tmp_path: Path) -> None:
    assert "mismatch" in front_end(address, tmp_path, name="mail.example.com").certificate.refused


def test_password_is_not_sent_to_another_certificate(
    balancer: Balancer, address: tuple[str, int], tmp_path: Path, logins: Callable[..., Any]
) -> None:
    make_certificate(tmp_path, "other.example.com")
    (tmp_path / "other.example.com.pem").replace(tmp_path / f"{NAME}.pem")
    assert "CERTIFICATE_VERIFY_FAILED" in logins().error
    assert balancer.logins == []


def test_web_host_that_is_down_is_told_in_each_part_and_its_configuration_is_read(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    (tmp_path / "site.conf").write_text("BalancerMember ajp://192.0.2.11:8009 route=OX-1\n")
    front = front_end(("127.0.0.1", 0), tmp_path)
    assert "refused" in front.redirect.error
    assert front.certificate.error
    assert front.balancer.routes == {"192.0.2.11": "OX-1"}


def test_redirect_is_told(tmp_path: Path) -> None:
    hosts = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            self.send_response(301)
            self.send_header("Location", f"https://{NAME}/")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.handle_request).start()
    program = under_test(verify_web)
    program.HTTP_PORT = server.server_port
    redirect = program.verify_web({"address": "127.0.0.1", "web_name": NAME, "certificate": "", "site": ""})["redirect"]
    server.server_close()
    assert redirect == {"error": "", "status": 301, "location": f"https://{NAME}/"}
    assert hosts == [NAME]


def test_routes_are_read_from_the_site_as_it_is_deployed(tmp_path: Path) -> None:
    expected = Path(__file__).parent / "expected" / "apache-site.conf"
    commented = "# BalancerMember ajp://192.0.2.99:8009 route=OX-9\n"
    other = "BalancerMember ajp://192.0.2.13 route=OX-3 retry=5\nBalancerMember ajp://192.0.2.14:8009 myroute=OX-4\n"
    (tmp_path / "site.conf").write_text(commented + expected.read_text() + other)
    program = under_test(verify_web)
    job = {"address": "127.0.0.1", "web_name": NAME, "certificate": "", "site": str(tmp_path / "site.conf")}
    assert program.routes_of(job)["routes"] == {"192.0.2.11": "OX-1", "192.0.2.12": "OX-2", "192.0.2.13": "OX-3"}


def test_site_that_is_missing_is_told(tmp_path: Path) -> None:
    program = under_test(verify_web)
    assert "No such file" in program.attempt(program.routes_of, {"site": str(tmp_path / "site.conf")})["error"]
