"""The programs that run on the hosts: how they are sent, and what they share."""

from __future__ import annotations

import ast
import base64
import json
import os
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import StringCommand

import ox_deploy
from ox_deploy.facts.hosts import HostState
from ox_deploy.facts.mysql import Mysql
from ox_deploy.mysql import dialects
from ox_deploy.questions import bundle
from ox_deploy.questions.lease import Taking
from ox_deploy.questions.lease import command as lease_command
from ox_deploy.questions.order import LOCK_SECONDS, SERVICE_SECONDS, checked, order
from ox_deploy.questions.program import _PYTHON, Program, prelude, shell_command
from ox_deploy.questions.question import Question
from ox_deploy.remote import programs, start
from ox_deploy.remote.common import lease
from ox_deploy.remote.common.fingerprints import fingerprint
from ox_deploy.remote.service import configure as service_configure
from ox_deploy.remote.service import state as service_state
from tests.unit.fakes import program_of, stdin_of
from tests.unit.programs import Commands, shown, under_test

FOLDER = Path(ox_deploy.__file__).parent / "remote"


@pytest.fixture
def common(tmp_path: Path) -> Any:
    program = under_test(service_state)
    program.STATE_DIRECTORY = str(tmp_path / "state")
    return program


def programs_in(folder: Path) -> list[str]:
    """The functions that have the names of their files, each after the package of its topology, if it is of one."""
    found = []
    for path in folder.rglob("*.py"):
        *package, subject, action = ("", *path.relative_to(folder).with_suffix("").parts)
        name = "_".join(filter(None, [subject, action]))
        if f"\ndef {name}(" in path.read_text():
            found.append(".".join([*filter(None, package), name]))
    return sorted(found)


PROGRAMS = programs_in(FOLDER)


def sent(text: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The files and the task that a host gets by standard input."""
    _, files, task = text.split("\n")
    return json.loads(zlib.decompress(base64.b64decode(files))), json.loads(task)


def test_all_programs_that_are_sent_are_there() -> None:
    wanted = set()
    for path in [*FOLDER.parent.rglob("facts/*.py"), *FOLDER.parent.rglob("operations/**/*.py")]:
        wanted |= set(
            re.findall(r'\b(?:Program|order|seed_order|secret_question|whole)\(\s*"([\w.]+)"', path.read_text())
        )
    assert len(wanted) > 30
    assert wanted <= set(PROGRAMS)


def test_every_module_is_part_of_a_program() -> None:
    used = {path for name in PROGRAMS for path in sent(Program(name, {}).stdin)[0]}
    assert {path.relative_to(FOLDER.parent.parent).as_posix() for path in FOLDER.rglob("*.py")} <= used


def imported(tree: ast.AST) -> set[str]:
    """The packages that a module needs when it is imported, and not only where its types are checked."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
        elif not isinstance(node, ast.FunctionDef) and not (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            found |= imported(node)
    return found


@pytest.mark.parametrize(
    "path",
    sorted([*FOLDER.rglob("*.py"), Path(dialects.__file__)]),
    ids=lambda path: path.relative_to(FOLDER.parent).as_posix(),
)
def test_module_for_the_hosts_needs_nothing_but_python(path: Path) -> None:
    assert imported(ast.parse(path.read_text())) <= {*sys.stdlib_module_names, "ox_deploy"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sh")), ids=lambda path: path.name)
def test_shell_program_has_no_syntax_error(path: Path) -> None:
    subprocess.run(["sh", "-n", str(path)], check=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_order_has_its_input_where_nobody_sees_it(name: str) -> None:
    command = order(name, {"password": "Zc4qLw8mPn2rTx6v"})
    assert program_of(command) == name
    assert stdin_of(command) == {"password": "Zc4qLw8mPn2rTx6v"}
    assert "Zc4qLw8mPn2rTx6v" not in command.get_raw_value() + repr(command)


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_program_stands_on_a_command_line(name: str) -> None:
    for command in (order(name, {"a": 1}), Program(name, {"a": 1})):
        shown = command.get_raw_value()
        assert len(shown) < 700
        assert name in shown
        assert "def " not in shown


def first_question() -> StringCommand:
    return HostState().command("u", 1, 2, ["a"], [Question(Mysql, users=["u"])], taking=Taking("r", "{}"))


SENT: dict[str, Callable[[], StringCommand]] = {
    "question": lambda: Program("service_state", {"a": "b"}),
    "order": lambda: order("service_configure", {"a": "b"}),
    "first question": first_question,
    "installation": lambda: checked(shell_command("install", "a", "b")),
    "lease": lambda: lease_command("renew", "r"),
}


@pytest.mark.parametrize("command", SENT.values(), ids=SENT)
def test_no_login_shell_reads_another_command(command: Callable[[], StringCommand]) -> None:
    """fish changes backslashes in single quotes; csh takes neither new lines in them nor exclamation marks."""
    assert re.findall(r"[\\\n!]", command().get_raw_value()) == []


@pytest.mark.parametrize("kind", ["question", "order", "unit"])
def test_login_has_no_say_in_modes_and_language(kind: str, tmp_path: Path) -> None:
    look = "import os, sys\numask = os.umask(0)\nprint(oct(umask), os.environ['LC_ALL'], sys.flags.utf8_mode)\n"
    task = {"as": kind, "program": "look", "arguments": {}, "seconds": 9, "lock_seconds": 9, "ticket": []}
    program = f"""{prelude("service_state")}
from ox_deploy.remote import start
from ox_deploy.remote.common import lease
lease.STATE_DIRECTORY = {str(tmp_path)!r}
start.program = lambda name: lambda arguments: exec({look!r})
start.start({task!r})"""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LANG": "de_DE.ISO-8859-1"}
    shell = ["sh", "-c", f'umask 077; exec {_PYTHON} "$1"', "sh", program]
    done = subprocess.run(shell, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("0o22 C.UTF-8 1\n")


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_sent_is_the_same_each_time_and_holds_the_program(name: str) -> None:
    files, _ = sent(Program(name, {}).stdin)
    assert list(files) == sorted(files)
    assert f"{programs.module_of(name).replace('.', '/')}.py" in files
    bundle.bundle.cache_clear()
    assert sent(Program(name, {}).stdin)[0] == files


def test_order_takes_the_lock_before_it_begins_and_a_question_does_not() -> None:
    _, task = sent(str(order("service_configure", {}).connector_arguments["_stdin"]))
    assert (task["as"], task["ticket"], task["lock_seconds"]) == ("order", [], LOCK_SECONDS)
    assert task["seconds"] == SERVICE_SECONDS
    _, question = sent(Program("service_state", {}, seconds=20).stdin)
    assert question == {"as": "question", "program": "service_state", "arguments": {}, "seconds": 15}


class Started:
    """A program that is started; notes what comes in which order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[Any] = []
        monkeypatch.setattr(start, "end_within", lambda seconds, sentence: self.steps.append((seconds, sentence)))
        monkeypatch.setattr(start, "only_one", self.only_one)
        monkeypatch.setattr(start, "program", lambda name: self.program)

    @contextmanager
    def only_one(self, *ticket: object) -> Iterator[None]:
        self.steps.append(["locked", *ticket])
        yield
        self.steps.append("unlocked")

    def program(self, arguments: Any) -> Any:
        self.steps.append(arguments)
        return {"answer": 1}


TASK = {"program": "x", "arguments": {"a": 1}, "ticket": [7, "run"], "lock_seconds": 600, "seconds": 900}


def test_order_waits_for_the_lock_and_has_its_own_time_then(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(monkeypatch)
    start.start({**TASK, "as": "order"})
    (busy, *locked), (slow, *done) = started.steps[:2], started.steps[2:]
    assert busy[0] == 600
    assert busy[1].startswith("an earlier run is still at work on this host, even after 600 s; ")
    assert locked == [["locked", 7, "run"]]
    assert slow == (900, "this has not finished within 900 s; find what hangs on this host, and run again")
    assert done == [{"a": 1}, "unlocked"]


def test_question_takes_no_lock_and_prints_its_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started = Started(monkeypatch)
    start.start({**TASK, "as": "question"})
    assert [step if isinstance(step, dict) else step[0] for step in started.steps] == [900, {"a": 1}]
    assert capsys.readouterr().out == '{"answer": 1}\n'


def test_unit_has_no_limit_of_ours_and_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(monkeypatch)
    start.start({**TASK, "as": "unit"})
    assert started.steps == [{"a": 1}]


def test_program_that_is_ended_ends_what_it_has_started(tmp_path: Path) -> None:
    program = f"""{prelude("service_state")}
from ox_deploy.remote.common import commands, ending
ending.end_within(1, "too slow")
commands.run(["sh", "-c", "sleep 2; touch {tmp_path / "went-on"}"])"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "too slow\n")
    time.sleep(1.5)
    assert not (tmp_path / "went-on").exists()


@pytest.mark.parametrize(
    ("command", "ends"), [("systemctl start", True), ("systemctl show", False), ("dpkg --audit", False)]
)
def test_what_systemd_limits_itself_has_no_other_limit(command: str, ends: bool) -> None:
    program, limits = under_test(service_configure), list[float | None]()

    class Child:
        returncode = 0

        def communicate(self, input: str | None, timeout: float | None) -> tuple[str, str]:
            limits.append(timeout)
            return "", ""

    program.started = lambda argv, **options: Child()
    program.run(command.split())
    assert limits == [None if ends else program.RUN_SECONDS]


def ask(path: str, **wanted: Any) -> Any:
    """Run a question as a host's shell does."""
    command = Program("service_state", {"name": "x", "files": wanted, "units": []})
    shell = ["/bin/sh", "-c", command.get_raw_value()]
    environment = {"PATH": path}
    done = subprocess.run(
        shell, env=environment, input=command.stdin, capture_output=True, text=True, check=True, cwd="/"
    )
    return json.loads(done.stdout)


def test_question_is_answered_in_json(tmp_path: Path) -> None:
    file = tmp_path / "a 'file'"
    file.write_text("x")
    answer = ask(os.environ["PATH"], **{str(file): None, "/no/such/file": None})
    assert answer["files"][str(file)]["digest"].startswith("2d711642b726b044")
    assert answer["files"]["/no/such/file"] is None
    assert answer["units"] == {}


def test_question_that_is_asked_without_its_program_says_how_to_ask() -> None:
    command = Program("service_state", {}).get_raw_value()
    done = subprocess.run(["sh", "-c", command], input="", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "no program came by standard input; ask with ox_deploy.questions.ask.ask\n"


def test_nothing_is_written_on_the_host_whatever_its_umask(tmp_path: Path) -> None:
    question = Program("service_state", {"name": "x", "files": {}, "units": []})
    command = f"umask 077; {question.get_raw_value()}"
    done = subprocess.run(
        ["sh", "-c", command],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        input=question.stdin,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"files": {}, "units": {}, "pending": False}
    assert list(tmp_path.iterdir()) == []


def test_traceback_on_the_host_names_module_and_line() -> None:
    question = Program("preconditions_state", {})
    command = question.get_raw_value()
    done = subprocess.run(["sh", "-c", command], input=question.stdin, capture_output=True, text=True, check=False)
    assert re.search(
        r'File "ox_deploy/remote/preconditions/state.py", line \d+, in preconditions_state\n    "directory"',
        done.stderr,
    )
    assert done.stderr.endswith("KeyError: 'filestore'\n")


def test_question_to_a_host_without_python_is_answered_with_nothing(tmp_path: Path) -> None:
    assert ask(str(tmp_path)) == {}


# --- common ----------------------------------------------------------------------------------------------

BEGIN, END = "# BEGIN ox-deploy cluster\n", "# END ox-deploy cluster\n"
BLOCKS = {
    "empty-file": ("", f"{BEGIN}new\n{END}"),
    "text-without-newline": ("mine", f"mine\n{BEGIN}new\n{END}"),
    "text": ("mine\n", f"mine\n{BEGIN}new\n{END}"),
    "old-block": (f"a\n{BEGIN}old\nolder\n{END}b\n", f"a\n{BEGIN}new\n{END}b\n"),
    "empty-block": (f"a\n{BEGIN}{END}b\n", f"a\n{BEGIN}new\n{END}b\n"),
    "block-of-another-name": (
        "# BEGIN ox-deploy other\nx\n# END ox-deploy other\n",
        f"# BEGIN ox-deploy other\nx\n# END ox-deploy other\n{BEGIN}new\n{END}",
    ),
}


@pytest.mark.parametrize(("before", "after"), BLOCKS.values(), ids=BLOCKS)
def test_block_is_replaced_or_added_and_the_rest_is_kept(common: Any, before: str, after: str) -> None:
    assert common.with_block(before, "cluster", "new\n") == after
    assert common.block_in(after, "cluster") == "new\n"
    assert common.with_block(after, "cluster", "new\n") == after


@pytest.mark.parametrize(("before", "after"), BLOCKS.values(), ids=BLOCKS)
def test_block_is_taken_out_with_its_marks(common: Any, before: str, after: str) -> None:
    left = common.with_block(after, "cluster", "")
    assert common.block_in(left, "cluster") is None
    assert BEGIN not in left
    assert common.with_block(left, "cluster", "") == left


@pytest.mark.parametrize("text", ["", "mine\n", f"{BEGIN}x\n", f"x\n{END}"])
def test_text_without_both_marks_has_no_block(common: Any, text: str) -> None:
    assert common.block_in(text, "cluster") is None


def test_lines_after_a_block_that_lost_its_end_are_kept(common: Any) -> None:
    text = f"{BEGIN}old\nmine\n"
    for _ in range(2):
        text = common.with_block(text, "cluster", "new\n")
    assert "mine\n" in text


def test_marks_in_the_wrong_order_do_not_crash(common: Any) -> None:
    assert "mine\n" in common.with_block(f"{END}mine\n{BEGIN}", "cluster", "new\n")


def test_failed_command_is_told_with_the_end_of_its_words_and_without_its_arguments(
    common: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    script = "for i in $(seq 1 50); do echo line $i >&2; done; exit 3"
    with pytest.raises(SystemExit) as ended:
        common.run_or_fail(["sh", "-c", script, "name", "argument"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "failed with exit code 3" in said
    assert "line 36\nline 37" in said
    assert "line 35\n" not in said
    assert "argument" not in said


def test_command_that_works_returns_its_output(common: Any) -> None:
    assert common.run_or_fail(["echo", "hello"]) == "hello\n"


def test_fingerprint_has_a_new_salt_each_time() -> None:
    first, second = fingerprint("x"), fingerprint("x")
    assert first["salt"] != second["salt"]
    assert first["digest"] != second["digest"]


def test_missing_file_reads_as_none(common: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert common.read(str(tmp_path / "file")) == b""
    assert common.read(str(tmp_path / "none")) is None
    assert common.read(str(tmp_path / "file" / "below")) is None


@pytest.mark.parametrize(
    ("active", "enabled", "state"),
    [
        ("active", "enabled", (True, True)),
        ("active", "static", (True, True)),
        ("inactive", "disabled", (False, False)),
        ("failed", "enabled", (False, True)),
        ("activating", "masked", (False, False)),
        ("active", "generated", (True, False)),
    ],
)
def test_units_are_told_from_systemds_words(common: Any, active: str, enabled: str, state: tuple[bool, bool]) -> None:
    # This machine may have such init scripts.
    common.starts_by_sysv = lambda unit: False
    common.run = Commands({"systemctl show": shown("first-unit", "second-unit", active=active, enabled=enabled)})
    wanted = {"active": state[0], "enabled": state[1]}
    assert common.unit_states(["first-unit", "second-unit"]) == {"first-unit": wanted, "second-unit": wanted}
    assert common.run.done[0][-2:] == ["first-unit", "second-unit"]


def test_no_units_ask_nothing(common: Any) -> None:
    common.run = Commands()
    assert common.unit_states([]) == {}
    assert common.run.done == []


def test_unknown_unit_is_stopped(common: Any) -> None:
    common.run = Commands({"systemctl": "Id=x.service\nActiveState=inactive\nUnitFileState=\n"})
    assert common.unit_states(["x"]) == {"x": {"active": False, "enabled": False}}


@pytest.mark.parametrize(("entry", "enabled"), [("S03open-xchange-admin", True), ("K03open-xchange-admin", False)])
def test_init_script_is_enabled_by_its_link(common: Any, entry: str, enabled: bool) -> None:
    common.run = Commands({"systemctl": shown("open-xchange-admin", enabled="generated")})
    common.os = SimpleNamespace(listdir=lambda _: ["README", entry])
    assert common.unit_states(["open-xchange-admin"])["open-xchange-admin"]["enabled"] is enabled
    assert common.starts_by_sysv("open-xchange-admin.service") is enabled
    assert not common.starts_by_sysv("open-xchange")


def test_only_one_program_works_on_a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "STATE_DIRECTORY", str(tmp_path / "state"))
    lock = lease.only_one()
    path = str(tmp_path / "state" / "lock")
    assert subprocess.run(["flock", "--nonblock", path, "true"], check=False).returncode == 1
    lock.close()
    assert subprocess.run(["flock", "--nonblock", path, "true"], check=False).returncode == 0
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
