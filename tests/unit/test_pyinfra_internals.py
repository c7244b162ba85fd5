"""Each use of what pyinfra does not document, tried with the pyinfra that is installed: a new version may differ.

The hosts are pyinfra's own pretended ones (`@fake`), this machine (`@local`), or a server in this process (`@ssh`).
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
import paramiko
import pyinfra
import pyinfra_cli.cli as command_line
import pytest
from pyinfra.api import (
    BaseStateCallback,
    Config,
    FactBase,
    Host,
    Inventory,
    OperationError,
    State,
    StringCommand,
    deploy,
    operation,
)
from pyinfra.api.connect import connect_all
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.api.util import get_file_path
from pyinfra_cli.util import load_func

from ox_deploy.facts.service import Service, ServiceStatus
from ox_deploy.questions import pyinfra_internals as internals
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import Order
from ox_deploy.questions.program import FactCommand
from ox_deploy.questions.question import Question
from tests.unit.fakes import current

Commands = Generator[StringCommand, None, None]
FAILS: dict[str, Any] = {"fake_responses": {"fail": {"success": False}}}
AT_ONCE = {"fake_delay": 0, "fake_delay_jitter": 0}


class Run:
    """A run of pyinfra, which does what its command does."""

    def __init__(self, hosts: list[Any], limit: list[str] | None = None, check: bool = True) -> None:
        self.inventory = Inventory((hosts, AT_ONCE))
        self.config: Any = Config()
        limited = [self.inventory.get_host(name) for name in limit] if limit else None
        self.state = State(self.inventory, self.config, check_for_changes=check, initial_limit=limited)

    def host(self, name: str) -> Host:
        return self.inventory.get_host(name)

    def prepare(self, deploys: Callable[[], object]) -> None:
        self.state.set_stage(StateStage.Connect)
        connect_all(self.state)
        self.state.set_stage(StateStage.Prepare)
        load_func(self.state, deploys)

    def execute(self) -> None:
        self.state.set_stage(StateStage.Execute)
        run_ops(self.state)

    def __call__(self, deploys: Callable[[], object]) -> None:
        self.prepare(deploys)
        self.execute()


Begin = Callable[..., Run]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begins a run on some hosts, which is pyinfra's current one until the test ends."""
    with ExitStack() as stack:

        def begun(*hosts: Any, **options: Any) -> Run:
            run = Run(list(hosts), **options)
            stack.enter_context(current(state=run.state, inventory=run.inventory, config=run.config, host=None))
            return run

        yield begun


def name_of_host() -> str:
    return str(pyinfra.host.name)


# --- whose turn it is --------------------------------------------------------------------------------------


def test_it_is_a_hosts_turn_for_a_while_also_after_an_exception(begin: Begin) -> None:
    run = begin("@fake/one", "@fake/two")
    one, two = run.inventory
    with internals.turn_of(one):
        assert name_of_host() == "@fake/one"
        with pytest.raises(RuntimeError), internals.turn_of(two):
            assert name_of_host() == "@fake/two"
            raise RuntimeError
        assert internals.current_host() is one
    assert internals.current_host() is None


def test_each_greenlet_has_a_turn_of_its_own(begin: Begin) -> None:
    run = begin("@fake/one", "@fake/two")

    def look(host: Host) -> tuple[Host, str]:
        with internals.turn_of(host):
            gevent.sleep(0.01)
            return internals.current_host(), name_of_host()

    jobs = [gevent.spawn(look, host) for host in run.inventory]
    gevent.joinall(jobs)
    assert [job.get() for job in jobs] == [(host, host.name) for host in run.inventory]


def test_host_has_its_turn_in_a_deploy_and_in_an_operation(begin: Begin) -> None:
    run, seen = begin("@fake/one", "@fake/two", check=False), list[Host]()

    @operation()
    def look() -> Commands:
        seen.append(internals.current_host())
        yield StringCommand("true")

    def deploys() -> None:
        seen.append(internals.current_host())
        look(name="Look")

    run(deploys)
    assert sorted(host.name for host in seen) == ["@fake/one", "@fake/one", "@fake/two", "@fake/two"]
    assert all(type(host) is Host for host in seen)


def test_operation_under_way_has_its_name_in_both_phases(begin: Begin) -> None:
    run, seen = begin("@fake/one"), list[tuple[bool, list[str]]]()

    @operation()
    def look() -> Commands:
        seen.append((internals.is_executing(), internals.operation_names()))
        yield StringCommand("true")

    @deploy("Outer")
    def outer() -> None:
        inner()

    @deploy("Chapter")
    def inner() -> None:
        seen.append((internals.is_executing(), internals.operation_names()))
        look(name="Look at it")

    run(outer)
    assert seen == [(False, []), (False, ["Look at it"]), (True, ["Look at it"])]
    with internals.turn_of(run.host("@fake/one")):
        assert internals.operation_names() == []
    assert internals.operation_names() == []


def test_name_of_an_operation_is_known_where_its_command_runs(begin: Begin) -> None:
    run, seen = begin("@fake/one", check=False), list[list[str]]()
    run.prepare(lambda: work(name="Work"))

    def note(*_: Any, **__: Any) -> internals.Result:
        seen.append(internals.operation_names())
        return True, internals.CommandOutput([])

    internals.intercept_commands(run.host("@fake/one"), lambda _: note)
    run.execute()
    assert seen == [["Work"]]


@operation()
def work(command: str = "true") -> Commands:
    """Run one command."""
    yield StringCommand(command)


@operation()
def rest() -> Commands:
    """Do nothing."""
    return
    yield


# --- the run -----------------------------------------------------------------------------------------------


def test_there_is_no_run_at_first() -> None:
    assert not internals.is_executing()
    assert internals.current_inventory() is None


def test_run_has_its_state_and_its_inventory(begin: Begin) -> None:
    run = begin("@fake/one")
    assert internals.current_state() is run.state
    assert internals.current_inventory() is run.inventory


def test_what_is_kept_with_a_state_is_made_once_and_is_no_other_states(begin: Begin) -> None:
    one, two = begin("@fake/one").state, begin("@fake/one").state
    kept = internals.kept_with(one, list[str])
    kept.append("seen")
    assert internals.kept_with(one, list[str]) is kept
    assert internals.kept_with(two, list[str]) == []


def test_what_is_kept_with_a_state_ends_with_it(begin: Begin) -> None:
    inventory = Inventory((["@fake/one"], {}))
    state = State(inventory, Config())
    kept = weakref.ref(internals.kept_with(state, Kept))
    internals.kept_with(state, Kept).hosts += list(inventory)
    del state, inventory
    gc.collect()
    assert kept() is None


@dataclass
class Kept:
    """Refers to hosts, which refer to their state."""

    hosts: list[Host] = field(default_factory=list)


def test_hosts_of_a_run_that_take_part_fail_or_are_left_out(begin: Begin) -> None:
    lost = ("127.0.0.1", {"ssh_port": 1, "ssh_allow_agent": False, "ssh_look_for_keys": False})
    limit = ["@fake/one", "@fake/two", "127.0.0.1"]
    run = begin("@fake/one", ("@fake/two", FAILS), "@fake/three", lost, limit=limit)
    run.prepare(lambda: work(command="fail"))
    one, two, _, lost_host = run.inventory
    assert set(internals.active_hosts()) == {one, two}
    assert set(internals.failed_hosts()) == {lost_host}
    run.execute()
    assert set(internals.active_hosts()) == {one}
    assert set(internals.failed_hosts()) == {two, lost_host}
    assert [internals.took_part(host) for host in run.inventory] == [True, True, False, False]
    assert internals.is_limited()
    assert [internals.is_in_limit(host) for host in run.inventory] == [True, True, False, True]


def test_run_without_limit_has_all_hosts_in_it(begin: Begin) -> None:
    run = begin("@fake/one")
    assert not internals.is_limited()
    assert internals.is_in_limit(run.host("@fake/one"))


def test_host_that_has_failed_is_seen_by_the_next_one_in_the_same_operation(begin: Begin) -> None:
    run, seen = begin(("@fake/one", FAILS), ("@fake/two", FAILS), check=False), list[list[str]]()

    @operation()
    def one_by_one() -> Commands:
        seen.append([host.name for host in internals.hosts_with_errors()])
        yield StringCommand("fail")

    with pytest.raises(PyinfraError, match="No hosts remaining"):
        run(lambda: one_by_one(_serial=True))
    assert sorted(map(len, seen)) == [0, 1]


@pytest.mark.parametrize("ends", [True, False])
def test_host_that_fails_ends_the_run_if_it_is_to(begin: Begin, ends: bool) -> None:
    run = begin("@fake/one", ("@fake/two", FAILS), check=False)
    done: list[str] = []

    @operation()
    def later() -> Commands:
        done.append(name_of_host())
        yield StringCommand("true")

    def deploys() -> None:
        if ends:
            internals.end_run_on_failure()
        work(command="fail")
        later()

    if ends:
        with pytest.raises(PyinfraError, match="Over 0% of hosts failed"):
            run(deploys)
    else:
        run(deploys)
    assert done == ([] if ends else ["@fake/one"])


@pytest.mark.parametrize("kept", [True, False])
def test_what_a_deploy_file_sets_is_kept_if_it_is_to(begin: Begin, tmp_path: Path, kept: bool) -> None:
    run, file = begin("@fake/one"), tmp_path / "deploy.py"
    lines = ["from ox_deploy.questions import pyinfra_internals", "pyinfra_internals.end_run_on_failure()"]
    file.write_text("\n".join([*lines, "pyinfra_internals.keep_config()" if kept else ""]))
    run.state.activate_host(run.host("@fake/one"))
    command_line._prepare_deploy_operations(run.state, run.config, [str(file)])
    assert (0 if kept else None) == run.state.config.FAIL_PERCENT


DEPLOY = """
import pyinfra.api.arguments, pyinfra.api.connectors, pyinfra.api.facts, pyinfra.api.util
from pyinfra import state
from ox_deploy.questions.pyinfra_internals import look_up_once

def nested():
    return (
        pyinfra.api.util.get_operation_order_from_stack(state),
        pyinfra.api.util.get_call_location(),
    )

def seen():
    arguments = pyinfra.api.arguments.all_global_arguments(), pyinfra.api.facts.all_global_arguments()
    return nested(), arguments, pyinfra.api.connectors.get_execution_connectors()

first, second = [(look_up_once() if is_second else None, seen())[1] for is_second in (False, True)]
print("the same:", first == second, len(first[0][0]) > 2)
look_up_once()
print("at once:", seen()[1][0] is seen()[1][1], pyinfra.api.util.stack()[0][1:])
"""


def test_pyinfra_sees_the_same_where_it_looks_up_once(tmp_path: Path) -> None:
    """In a process of its own, where the first host still finds pyinfra as it is."""
    (tmp_path / "look.py").write_text(DEPLOY)
    code, shown = ended(tmp_path, config="", command=["look.py"])
    assert (shown.count("the same: True True"), shown.count("the same: ")) == (2, 2)
    # No more than the frame is looked at.
    assert "at once: True ()" in shown
    assert code == 0


def test_pyinfras_command_looks_up_once_in_this_folder(tmp_path: Path) -> None:
    (tmp_path / "look.py").write_text("import pyinfra.api.util\nprint(pyinfra.api.util.stack.__module__)\n")
    config = (Path(__file__).parents[2] / "config.py").read_text()
    assert internals.__name__ in ended(tmp_path, config=config, command=["look.py"])[1]


def test_handler_is_called_once_and_told_which_operation_has_acted(begin: Begin) -> None:
    run = begin("@fake/one", ("@fake/two", FAILS), check=False)
    seen: list[tuple[str, bool]] = []

    class Handler(BaseStateCallback):
        @staticmethod
        def operation_end(state: State, op_hash: str) -> None:
            (name,) = state.get_op_meta(op_hash).names
            seen.append((name, internals.has_acted(state, op_hash)))

    def deploys() -> None:
        internals.add_handler(Handler)
        rest(name="rest")
        work(name="work")
        if name_of_host() == "@fake/two":
            work(name="fail", command="fail")

    run(deploys)
    assert seen == [("rest", False), ("work", True), ("fail", True)]


def test_operation_that_was_not_run_has_not_acted(begin: Begin) -> None:
    run = begin("@fake/one", check=False)
    run.prepare(lambda: work())
    (number,) = run.state.op_meta
    assert not internals.has_acted(run.state, number)


# --- operations --------------------------------------------------------------------------------------------


def test_operation_has_the_function_that_it_was_made_of() -> None:
    def inner(number: int) -> Commands:
        yield StringCommand(str(number))

    made = operation()(inner)
    assert internals.inner_of(made) is inner

    def other(number: int) -> int:
        return number

    internals.set_inner(other, inner)
    assert internals.inner_of(other) is inner


# --- commands ----------------------------------------------------------------------------------------------


class Echo(FactBase[str]):
    """What this host is called."""

    def command(self, text: str) -> FactCommand:
        return FactCommand("echo", text, seconds=7)


def test_all_commands_of_a_host_go_through_what_stands_between_with_their_limits(begin: Begin) -> None:
    run = begin(("@fake/one", {"fake_responses": {"echo": "answer"}}), check=False)
    host = run.host("@fake/one")
    seen: list[tuple[str, type[StringCommand], float | None, float | None]] = []

    def between(real: internals.Runner) -> internals.Runner:
        def call(
            command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
        ) -> internals.Result:
            limits = getattr(command, "seconds", None), arguments.get("_timeout")
            seen.append((command.get_raw_value(), type(command), *limits))
            return real(command, print_output=print_output, print_input=print_input, **arguments)

        return call

    internals.intercept_commands(host, between)

    @operation()
    def all_ways() -> Commands:
        assert host.get_fact(Echo, text="fact") == "answer"
        assert internals.run_in_operation(host, StringCommand("echo inside"))[1].stdout == "answer"
        assert internals.run_like_facts(host, Order("echo like facts"))[0]
        yield Order("echo order", _timeout=9)

    run(all_ways)
    assert seen == [
        ("echo fact", FactCommand, 7, None),
        ("echo inside", StringCommand, None, None),
        ("echo like facts", Order, None, None),
        ("echo order", Order, None, 9),
    ]


@pytest.mark.parametrize("in_question", [True, False])
def test_error_that_stands_between_ends_the_run_as_it_is(
    begin: Begin, in_question: bool, capfd: pytest.CaptureFixture[str], kept_hub: None
) -> None:
    run = begin("@fake/one", "@fake/two", check=False)
    internals.print_no_traceback(PyinfraError)

    def gone(*_: Any, **__: Any) -> internals.Result:
        raise OperationError("one does not answer any more")

    internals.intercept_commands(run.host("@fake/one"), lambda _: gone)

    @operation()
    def asking() -> Commands:
        pyinfra.host.get_fact(Echo, text="x")
        yield StringCommand("true")

    with pytest.raises(OperationError, match=r"^one does not answer any more$"):
        run(asking if in_question else work)
    assert "Traceback" not in capfd.readouterr().err


@pytest.fixture
def server() -> Iterator[Server]:
    """An SSH server in this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(listening)
        yield server
        server.end()


class Server(paramiko.ServerInterface):
    """Lets everybody in who has the password, and notes what else is asked of it."""

    def __init__(self, listening: socket.socket) -> None:
        self.listening = listening
        self.port: int = listening.getsockname()[1]
        self.requests: list[str] = []
        self.key = paramiko.ECDSAKey.generate()
        self.transport: paramiko.Transport | None = None
        self._job = gevent.spawn(self._serve)

    def _serve(self) -> None:
        connection, _ = self.listening.accept()
        self.transport = paramiko.Transport(connection)
        self.transport.add_server_key(self.key)
        self.transport.start_server(server=self)

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.common.AUTH_SUCCESSFUL if password == "x" else paramiko.common.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_global_request(self, kind: str, msg: paramiko.Message) -> bool:
        self.requests.append(kind)
        return False

    def end(self) -> None:
        self._job.kill()
        if self.transport:
            self.transport.close()


def login(server: Server, tmp_path: Path, password: str) -> dict[str, Any]:
    return {
        "ssh_port": server.port,
        "ssh_user": "anna",
        "ssh_password": password,
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
        "ssh_strict_host_key_checking": "no",
        "ssh_known_hosts_file": str(tmp_path / "known_hosts"),
        "ssh_config_file": str(tmp_path / "config"),
    }


def test_connection_by_ssh_is_kept_alive(begin: Begin, server: Server, tmp_path: Path) -> None:
    run = begin(("127.0.0.1", login(server, tmp_path, "x")))
    host = run.host("127.0.0.1")
    assert not internals.keep_alive(host, 1)
    assert not internals.is_connected(host)
    internals.connect(host)
    internals.connect(host)
    assert internals.is_connected(host)
    assert server.requests == []
    assert internals.keep_alive(host, 1)
    with gevent.Timeout(10):
        while not server.requests:
            gevent.sleep(0.05)
    assert server.requests[0].startswith("keepalive")


def test_other_connections_need_not_be_kept_alive(begin: Begin) -> None:
    assert not internals.keep_alive(begin("@local").host("@local"), 1)


def test_connection_that_fails_raises_why(begin: Begin, server: Server, tmp_path: Path) -> None:
    run = begin(("127.0.0.1", login(server, tmp_path, "wrong")))
    with pytest.raises(ConnectError, match="Authentication error"):
        internals.connect(run.host("127.0.0.1"), show_errors=False)


def test_errors_of_a_connection_are_shown_if_they_are_to_be(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    run = begin(("127.0.0.1", {"ssh_port": 1, "ssh_allow_agent": False, "ssh_look_for_keys": False}))
    for show in (False, True):
        with pytest.raises(ConnectError):
            internals.connect(run.host("127.0.0.1"), reason="to be asked", show_errors=show)
        assert ("Could not connect" in caplog.text) == show


class Greeting(FactBase[str]):
    """What the environment says."""

    def command(self) -> str:
        return 'echo "$GREETING"'


GREET = StringCommand('echo "$GREETING $(cat)"', _stdin="you")


def test_command_is_run_in_the_way_of_the_operation_under_way(begin: Begin) -> None:
    run, seen = begin("@local", check=False), list[str]()
    host = run.host("@local")

    @operation()
    def greet() -> Commands:
        for way in (internals.run_in_operation, internals.run_like_facts):
            worked, output = way(host, GREET)
            assert worked
            seen.append(output.stdout)
        assert host.get_fact(Greeting) == "hello"
        return
        yield

    run(lambda: greet(_env={"GREETING": "hello"}))
    assert seen == ["hello you", "hello you"]


def test_command_is_run_in_the_way_of_facts_while_no_operation_is_under_way(begin: Begin) -> None:
    host = begin(("@local", {"_env": {"GREETING": "good day"}})).host("@local")
    assert host.get_fact(Greeting) == "good day"
    assert internals.run_like_facts(host, GREET)[1].stdout == "good day you"


def test_fact_gets_its_program_by_standard_input_and_does_not_show_it(
    begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    run, seen = begin("@local", check=False), list[ServiceStatus]()
    host = run.host("@local")
    question = Question(Service, service="no-such-service", files={"/no/such/file": None}, units=[])

    @operation()
    def look() -> Commands:
        seen.append(ask(host, question))
        return
        yield

    with caplog.at_level(logging.DEBUG, pyinfra.logger.name):
        run(look)
    assert [status.files for status in seen] == [{"/no/such/file": None}]
    shown = [record.getMessage() for record in caplog.records if "_stdin=" in record.getMessage()]
    assert shown and all("_stdin=its program" in line for line in shown), caplog.text


def test_command_that_fails_tells_what_it_said(begin: Begin) -> None:
    host = begin("@local").host("@local")
    worked, output = internals.run_like_facts(host, StringCommand("echo first >&2; echo last >&2; exit 1"))
    assert (worked, output.stderr_lines) == (False, ["first", "last"])


# --- what is shown -----------------------------------------------------------------------------------------


@pytest.fixture
def kept_hub() -> Iterator[None]:
    """gevent's hub, which is the same for all tests, is as before afterwards."""
    hub: Any = gevent.get_hub()
    before = hub.NOT_ERROR
    yield
    hub.NOT_ERROR = before


def test_gevent_prints_no_traceback_of_an_error_that_pyinfra_shows(
    capfd: pytest.CaptureFixture[str], kept_hub: None
) -> None:
    class Shown(Exception):
        pass

    def fail() -> None:
        raise Shown

    def printed() -> str:
        job = gevent.spawn(fail)
        job.join()
        assert isinstance(job.exception, Shown)
        return capfd.readouterr().err

    hub: Any = gevent.get_hub()
    assert "Traceback" in printed()
    internals.print_no_traceback(Shown)
    known = hub.NOT_ERROR
    internals.print_no_traceback(Shown)
    assert known == hub.NOT_ERROR
    assert printed() == ""


def test_warning_names_its_host(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    internals.warn(begin("@fake/one").host("@fake/one"), "cannot be told")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("pyinfra", logging.WARNING)
    assert "@fake/one" in record.message
    assert record.message.endswith("] cannot be told")


# --- pyinfra's command, and a program in its place ---------------------------------------------------------


CONFIG = """
from ox_deploy.questions.pyinfra_internals import at_end_of_command, current_inventory, limits_of_command

def end():
    print("at the end:", [host.name for host in current_inventory()])
    raise SystemExit(7)

print("limits:", limits_of_command())
at_end_of_command(end)
"""


def ended(
    folder: Path, *options: str, config: str = CONFIG, command: Sequence[str] = ("exec", "--", "true")
) -> tuple[int, str]:
    (folder / "config.py").write_text(config)
    argv = [sys.executable, "-m", "pyinfra", "-y", *options, "@fake/one,@fake/two", *command]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYINFRA_FAKE_DELAY": "0",
        "PYINFRA_FAKE_DELAY_JITTER": "0",
    }
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def test_limits_of_the_command_are_known_and_what_is_called_at_its_end_decides_on_its_exit_code(tmp_path: Path) -> None:
    code, shown = ended(tmp_path, "--limit", "@fake/one", "--limit", "typo", "--exclude", "x")
    assert "limits: (['@fake/one', 'typo'], ['x'])" in shown
    assert "at the end: ['@fake/one', '@fake/two']" in shown
    assert code == 7


def test_command_without_limits_has_none(tmp_path: Path) -> None:
    assert "limits: ([], [])" in ended(tmp_path)[1]


def test_other_programs_have_no_limits() -> None:
    assert internals.limits_of_command() is None


def test_password_for_sudo_is_not_asked_at_the_terminal(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(prompt: str = "", stream: object = None) -> str:
        raise RuntimeError(f"asked: {prompt}")

    util = pyinfra.connectors.util
    monkeypatch.setattr(util, "getpass", vars(util)["getpass"])
    internals.ask_no_password(refuse)
    host = begin("@local").host("@local")
    with pytest.raises(RuntimeError, match=r"asked: .*sudo password"):
        internals.run_like_facts(host, StringCommand("echo 'sudo: a password is required' >&2; exit 1"))


@pytest.fixture
def inventory_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An inventory in the working directory, where pyinfra looks for group data, too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data" / "all.py").write_text("common = 1\nown = 2\n")
    (tmp_path / "inventory.py").write_text(
        "from pyinfra import config\nweb = [('@fake/one', {'own': 3, 'sudo': config.SUDO}), '@fake/two']\n"
    )
    return str(tmp_path / "inventory.py")


def test_inventory_is_read_with_its_data_and_is_the_current_one_for_a_while(inventory_file: str) -> None:
    config = Config(SUDO=True)
    with pytest.raises(RuntimeError), internals.read_inventory(inventory_file, config, {"given": 4}) as state:
        assert internals.current_state() is state
        assert internals.current_inventory() is state.inventory
        found = {host.name: internals.data_of(host) for host in state.inventory.get_group("web")}
        assert found == {
            "@fake/one": {"common": 1, "own": 3, "given": 4, "sudo": True},
            "@fake/two": {"common": 1, "own": 2, "given": 4},
        }
        assert get_file_path(state, "file") == str(Path(inventory_file).with_name("file"))
        assert not state.check_for_changes
        assert state.config.SUDO
        assert not any(host.connected for host in state.inventory)
        raise RuntimeError
    assert internals.current_inventory() is None


def test_operations_of_different_hosts_are_prepared_and_forgotten(inventory_file: str) -> None:
    seen: list[str] = []

    @operation()
    def one_by_one() -> Commands:
        yield StringCommand("true")

    @deploy("Chapter")
    def chapter() -> None:
        seen.append(name_of_host())
        assert internals.current_state().current_stage is StateStage.Prepare
        # pyinfra refuses it if it takes the operations of both hosts for the same one.
        one_by_one(_serial=name_of_host() == "@fake/one")

    config = Config()
    with internals.read_inventory(inventory_file, config, {}) as state:
        for host in state.inventory:
            internals.prepare(state, host, chapter)
        assert state.active_hosts == set(state.inventory)
        assert state.op_meta == {}
        # Where pyinfra's command goes on, it finds nothing to execute.
        assert state.get_op_order() == []
        assert not any(state.ops[host] or state.meta[host].ops for host in state.inventory)
    assert seen == ["@fake/one", "@fake/two"]
    assert internals.current_host() is None


def test_more_particular_data_of_a_host_wins() -> None:
    groups: Any = {"web": (["@fake/one"], {"all": 1, "group": 2, "host": 2, "given": 2})}
    everybody = {"all": 1, "group": 1, "host": 1, "given": 1}
    hosts = [("@fake/one", {"host": 3, "given": 3})]
    inventory = Inventory((hosts, everybody), override_data={"given": 4}, **groups)
    host = inventory.get_host("@fake/one")
    assert internals.data_of(host) == {"all": 1, "group": 2, "host": 3, "given": 4}


def test_standard_library_is_patched_as_pyinfras_command_does_it_and_before_pyinfra_is_read() -> None:
    program = """
import ox_deploy.status.patched
import sys
assert not [name for name in sys.modules if name.startswith(("pyinfra", "paramiko"))]
import gevent.monkey, socket
before = set(gevent.monkey.saved)
assert gevent.monkey.is_module_patched("socket") and gevent.monkey.is_module_patched("subprocess")
# Warns where it patches anything else.
import pyinfra_cli
assert set(gevent.monkey.saved) == before
"""
    argv = [sys.executable, "-W", "error::RuntimeWarning", "-c", program]
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
