"""What the programs print, as typed data. Recorded output in `facts/` where pyinfra's own harness can compare it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

import gevent
import pytest
from pyinfra.api import FactBase
from pyinfra_testing.facts import make_fact_tests

from ox_deploy.facts.health import Health, HostHealth
from ox_deploy.facts.hosts import HostState
from ox_deploy.facts.mysql import Mysql, MysqlStatus, ServerState
from ox_deploy.facts.nfs import FilestoreMount
from ox_deploy.facts.openxchange import (
    CachePeers,
    Configdb,
    Configuration,
    Daemon,
    Daemons,
    OpenXchangeConfiguration,
    Registration,
)
from ox_deploy.facts.secret import Fingerprint
from ox_deploy.facts.service import Service
from ox_deploy.questions import prefetch
from ox_deploy.questions.lease import Taking
from ox_deploy.questions.peer import PeerUnreachable, ask_peer
from ox_deploy.questions.question import JsonFact, Question
from ox_deploy.remote.configdb.state import RegistrationState
from ox_deploy.topologies.master_slaves.facts.seed import SURVEY_SECONDS, ServerSurvey
from tests.unit.fakes import FakeHost, in_phase

# The command is a whole program; it is tested as one, see test_remote*.py.
pytestmark = pytest.mark.filterwarnings("ignore:No command set for test")

FOLDER = Path(__file__).parent / "facts"
TestHostState = make_fact_tests("ox_deploy.facts", "hosts.HostState", FOLDER / "hosts.HostState")
TestService = make_fact_tests("ox_deploy.facts", "service.Service", FOLDER / "service.Service")
TestFilestoreMount = make_fact_tests("ox_deploy.facts", "nfs.FilestoreMount", FOLDER / "nfs.FilestoreMount")
TestCachePeers = make_fact_tests("ox_deploy.facts", "openxchange.CachePeers", FOLDER / "openxchange.CachePeers")


def answer(fact: type[JsonFact[Any]], document: dict[str, Any]) -> Any:
    """What a fact makes of the document that its program prints, on one line or on many."""
    short, long = (fact().process(json.dumps(document, indent=indent).splitlines()) for indent in (None, 2))
    assert short == long
    return short


FINGERPRINT = {"salt": "1f", "digest": hashlib.sha256(b"1fZc4qLw8mPn2rTx6v").hexdigest()}

MYSQL = {
    "state": "running",
    "version": "10.11.6-MariaDB-0+deb12u1-log",
    "variables": {"server_id": "2", "log_bin": "ON"},
    "databases": ["configdb"],
    "accounts": [
        {
            "user": "replication",
            "host": "192.0.2.22",
            "plugin": "mysql_native_password",
            "password": FINGERPRINT,
            "grants": [{"on": "*.*", "privileges": ["REPLICATION SLAVE"], "grant_option": False}],
        }
    ],
    "binary_log": {"file": "mysql-bin.000002", "position": 342, "first_file": "mysql-bin.000001", "complete": True},
    "replica": {
        "host": "192.0.2.21",
        "port": 3306,
        "user": "replication",
        "io_running": "Yes",
        "sql_running": "Yes",
        "io_error": "",
        "sql_error": "",
        "file": "mysql-bin.000002",
        "position": 342,
        "password": FINGERPRINT,
    },
}


def test_running_server_is_told_whole() -> None:
    status = answer(Mysql, MYSQL)
    assert status.state is ServerState.RUNNING
    (account,) = status.accounts
    assert account.grants[0].privileges == {"REPLICATION SLAVE"}
    assert account.password.matches("Zc4qLw8mPn2rTx6v")
    assert (status.binary_log.position, status.replica.host) == (342, "192.0.2.21")


def test_server_without_log_and_master_is_told_apart_from_an_unknown_one() -> None:
    status = answer(Mysql, MYSQL | {"binary_log": None, "replica": None})
    assert (status.state, status.binary_log, status.replica) == (ServerState.RUNNING, None, None)


@pytest.mark.parametrize("state", [state for state in ServerState if state is not ServerState.RUNNING])
def test_server_that_could_not_be_asked_says_why(state: ServerState) -> None:
    status = answer(Mysql, {"state": state.value, "error": "(2002, 'no socket')"})
    assert status == MysqlStatus(state=state, error="(2002, 'no socket')")


def test_unknown_state_is_an_error_and_not_an_empty_server() -> None:
    with pytest.raises(ValueError, match="state"):
        answer(Mysql, {"state": "asleep"})


def test_configuration_is_told_by_file_and_key() -> None:
    document = {
        "installed": True,
        "exposed": ["groupware/configdb.properties"],
        "values": {"groupware/system.properties": {"SERVER_NAME": "oxserver", "other": None}},
        "secrets": {"groupware/configdb.properties": {"readProperty.2": FINGERPRINT}},
        "administrator": {"salt": "ab", "hash": FINGERPRINT},
    }
    found = answer(OpenXchangeConfiguration, document)
    assert found.values == document["values"]
    assert found.secrets["groupware/configdb.properties"]["readProperty.2"].matches("Zc4qLw8mPn2rTx6v")
    assert found.administrator.salt == "ab"
    assert answer(OpenXchangeConfiguration, document | {"administrator": None}).administrator is None


def test_daemons_are_told_by_name() -> None:
    daemon = {"active": True, "enabled": False, "listening": True, "pending": False}
    assert answer(Daemons, {"open-xchange-admin": daemon}) == {"open-xchange-admin": Daemon(**daemon)}


def test_registrations_are_told_with_numbers_as_numbers() -> None:
    pool = {"id": 3, "name": "oxdatabase", "url": "jdbc:mysql://192.0.2.21/", "login": "ox", "password": FINGERPRINT}
    document = {
        "state": "complete",
        "servers": ["oxserver"],
        "filestores": ["file:///var/opt/filestore"],
        "pools": [pool],
        # JSON has texts for keys.
        "clusters": {"3": 4},
        "contexts": [{"id": 1, "users": ["oxadmin"]}],
    }
    found = answer(Configdb, document)
    assert found.clusters == {3: 4}
    assert (found.pools[0].id, found.contexts[0].users) == (3, ["oxadmin"])


@pytest.mark.parametrize("state", ["absent", "interrupted"])
def test_configdb_that_is_not_there_is_told_in_one_word(state: str) -> None:
    assert answer(Configdb, {"state": state}) == Registration(state=RegistrationState(state))


@pytest.mark.parametrize(
    ("fact", "nothing"),
    [
        (Mysql, MysqlStatus(state=ServerState.NOT_INSTALLED)),
        (OpenXchangeConfiguration, Configuration(installed=False)),
        (Configdb, Registration(state=RegistrationState.NO_ACCESS)),
        (Daemons, {}),
        (HostHealth, Health()),
    ],
)
def test_host_without_python_has_nothing(fact: type[JsonFact[Any]], nothing: object) -> None:
    assert answer(fact, {}) == nothing


HEALTH = {"disks": ["/srv"], "certificate": "/web.pem", "balancer": "oxcluster", "database": {"option_file": None}} | {
    "site": {"file": "/site", "address": "192.0.2.10"}
}
CONFIGDB = {"file": "f", "tables": {"t": True}, "contexts": [1]}
ASKED: list[tuple[type[FactBase[Any]], dict[str, Any], list[Any] | dict[str, Any]]] = [
    (
        HostState,
        {"user": "open-xchange", "uid": 1, "gid": 2, "packages": ["a", "b"], "wait": 5},
        ["open-xchange", "1", "2", "5", "a", "b"],
    ),
    (Mysql, {"users": ["u"], "option_file": None}, {"users": ["u"], "option_file": None}),
    (
        Service,
        {"service": "x", "files": {"/x": None}, "units": ["x"]},
        {"name": "x", "files": {"/x": None}, "units": ["x"]},
    ),
    (
        FilestoreMount,
        {"path": "/f", "service": "x", "files": {"/x": None}},
        {"path": "/f", "service": {"name": "x", "files": {"/x": None}, "units": []}},
    ),
    (
        OpenXchangeConfiguration,
        {"keys": {"f": ["k"]}, "secret_keys": {}, "administrator": {"name": "a", "file": "m", "salt_length": 2}},
        {"keys": {"f": ["k"]}, "secret_keys": {}, "administrator": {"name": "a", "file": "m", "salt_length": 2}},
    ),
    (Daemons, {"ports": {"x": 1}}, {"units": {"x": 1}}),
    (CachePeers, {"ports": [1]}, {"ports": [1]}),
    (Configdb, CONFIGDB, CONFIGDB),
    (
        HostHealth,
        HEALTH | {"units": ("x",), "places": ("/tmp",)},
        HEALTH | {"units": ["x"], "places": ["/tmp"]},
    ),
    (
        HostHealth,
        {"disks": []},
        {"disks": [], "certificate": None, "balancer": None, "site": None, "places": [], "units": [], "database": None},
    ),
]


@pytest.mark.parametrize(("fact", "arguments", "sent"), ASKED, ids=[fact.__name__ for fact, _, _ in ASKED])
def test_question_takes_its_arguments_to_the_host(
    fact: type[FactBase[Any]], arguments: dict[str, Any], sent: list[Any] | dict[str, Any]
) -> None:
    command: Any = fact().command(**arguments)
    words = shlex.split(command.get_raw_value())
    if isinstance(sent, list):
        assert (words[:2], words[3:]) == (["sh", "-c"], ["host_state", *sent])
    else:
        assert words[:6] == ["if", "command", "-v", "python3", ">/dev/null;", "then"]
        assert words[6:10] == ["python3", "-X", "utf8", "-c"]
        assert words[12:] == [";", "else", "cat", ">/dev/null;", "echo", "{};", "fi"]
        task = json.loads(command.stdin.split("\n")[-1])
        assert (task["program"], task["arguments"]) == (words[11], sent)


def test_fingerprint_knows_its_secret_only() -> None:
    fingerprint = Fingerprint.model_validate(FINGERPRINT)
    assert fingerprint.matches("Zc4qLw8mPn2rTx6v")
    assert not fingerprint.matches("Zc4qLw8mPn2rTx6w")
    assert not fingerprint.matches("")


def test_peer_is_asked_by_its_name_in_the_inventory() -> None:
    peer = FakeHost({Mysql: MysqlStatus()})
    asking: Any = FakeHost(name="dbslave", dbmaster=peer)
    with in_phase(asking, executing=True):
        assert ask_peer(asking, "dbmaster", Question(Mysql, users=["u"])) == MysqlStatus()
    assert peer.asked == [(Mysql, {"users": ["u"]})]


def test_earlier_run_is_waited_for_once_though_two_programs_look() -> None:
    arguments: dict[str, Any] = {"user": "open-xchange", "uid": 1, "gid": 1, "packages": []}
    taking = Taking(run="a", info="{}", wait=600)
    for command in (HostState().command(**arguments), HostState().command(**arguments, taking=taking)):
        words = shlex.split(command.get_raw_value())
        # Of several programs, the arguments are packed with them.
        packed = gzip.decompress(base64.b64decode(words[2].split()[2])).decode()
        assert [*words, *packed.split()].count("600") == 1
        assert command.seconds > 600


def test_large_database_may_take_its_time_to_be_counted() -> None:
    command = ServerSurvey().command([])
    assert command.seconds == SURVEY_SECONDS
    assert json.loads(command.stdin.split("\n")[-1])["seconds"] == SURVEY_SECONDS - 5


class Unconnected(FakeHost):
    """A host outside `--limit`; connecting takes a moment, in which others run."""

    connected = False
    refusal: Exception | None = None
    attempts = 0
    seconds = 0.01

    def connect(self, reason: str, show_errors: bool, raise_exceptions: bool) -> None:
        assert raise_exceptions
        self.attempts += 1
        gevent.sleep(self.seconds)
        if self.refusal:
            raise self.refusal
        self.connected = True


def ask_at_once(peer: FakeHost, seconds: float = 60) -> list[Any]:
    asking: list[Any] = [FakeHost(name=name, dbmaster=peer) for name in ("oxgw01", "oxgw02", "oxgw03")]
    question = Question(Mysql, users=[])

    def answer(host: Any) -> MysqlStatus | PeerUnreachable:
        try:
            return ask_peer(host, "dbmaster", question, seconds)
        except PeerUnreachable as error:
            return error

    jobs = [gevent.spawn(answer, host) for host in asking]
    gevent.joinall(jobs)
    return [job.value for job in jobs]


def test_peer_that_several_hosts_ask_at_once_is_connected_and_asked_once() -> None:
    peer = Unconnected({Mysql: MysqlStatus()})
    assert ask_at_once(peer) == [MysqlStatus()] * 3
    assert (peer.attempts, len(peer.asked)) == (1, 1)
    # What was known a moment ago may have changed.
    assert ask_at_once(peer) == [MysqlStatus()] * 3
    assert (peer.attempts, len(peer.asked)) == (1, 2)


def test_peer_is_asked_anew_by_who_comes_after_a_change() -> None:
    peer = Unconnected({Mysql: MysqlStatus()})
    asking: Any = FakeHost(name="oxgw01", dbmaster=peer)
    with in_phase(asking, executing=True):
        first = gevent.spawn(ask_peer, asking, "dbmaster", Question(Mysql, users=[]))
        gevent.sleep(0)
        prefetch.forget()
        assert ask_peer(asking, "dbmaster", Question(Mysql, users=[])) == first.get() == MysqlStatus()
    assert len(peer.asked) == 2


def test_peer_whose_connection_hangs_is_given_up_and_tried_again_later() -> None:
    peer = Unconnected({Mysql: MysqlStatus()})
    peer.seconds = 5
    assert ["no connection within" in str(answer) for answer in ask_at_once(peer, seconds=0.05)] == [True] * 3
    peer.seconds = 0.01
    assert ask_at_once(peer) == [MysqlStatus()] * 3


def test_peer_that_cannot_be_connected_is_tried_once_for_all_and_again_later(capfd: pytest.CaptureFixture[str]) -> None:
    peer = Unconnected({Mysql: MysqlStatus()})
    peer.refusal = OSError("no route")
    answers = ask_at_once(peer)
    assert [isinstance(each, PeerUnreachable) and "no route" in str(each) for each in answers] == [True] * 3
    assert peer.attempts == 1
    assert "Traceback" not in capfd.readouterr().err
    peer.refusal = None
    assert ask_at_once(peer) == [MysqlStatus()] * 3
