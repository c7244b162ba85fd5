"""No test replaces what others share: modules of Python and of other projects, the process, our own modules for good.

Names of our own modules may be replaced for one test: by MonkeyPatch, or by `under_test` of programs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType

import pytest

TESTS = Path(__file__).parents[1]
FILES = sorted([*TESTS.glob("*.py"), *(TESTS / "unit").rglob("*.py"), *(TESTS / "integration").rglob("*.py")])

# What stays, by file, with its reason. All of it is undone when the test ends.
KEPT = {
    "integration/conftest.py": {
        "deployment.used_up.append": "the lab is one for all tests, and so is the note that it is used up",
        "deployment.used_up.clear": "as above",
    },
    "integration/deployment.py": {"used_up.clear": "as above"},
    "integration/test_browser.py": {
        "lost.append": "all pages note there what Chromium gave up; each try begins with none",
        "lost.clear": "as above",
    },
    "unit/deployment.py": {
        "monkeypatch.setattr(pyinfra)": "pyinfra orders operations by line numbers in its command only",
    },
    "unit/fakes.py": {"pyinfra.context": "the one place that sets pyinfra's names, and puts them back"},
    "unit/programs.py": {"_in_place.setattr(module)": "modules of a program, which are ours"},
    "unit/test_ox6_tools.py": {
        "monkeypatch.setattr(sys)": "no bytecode is written into the folders that packages are built of",
        "monkeypatch.syspath_prepend(str(ADMIN))": "these programs import each other by bare names",
        "monkeypatch.syspath_prepend(str(CLIENT))": "as above",
        "sys.modules[name]": "as above: they are forgotten afterwards",
    },
    "unit/test_pyinfra_internals.py": {
        "hub.NOT_ERROR": "what is tested sets it, and gevent has one hub; it is put back",
        "monkeypatch.chdir(tmp_path)": "pyinfra reads group data in the working directory",
        "monkeypatch.setattr(util)": "what is tested replaces it",
    },
    "unit/test_remote_health.py": {"monkeypatch.setenv('https_proxy')": "urllib reads it in the process"},
    "unit/test_secrets.py": {
        "os.umask(mask)": "what is tested opens its file in this process",
        "os.umask(old)": "as above: it is put back",
    },
    "unit/wrong_values.py": {"CASES.append": "these functions fill the table while the file is read"},
}

OURS = {"ox_deploy", "tests"}
# Methods of MonkeyPatch; with the first ones it depends on what they are given.
REPLACES = {"delattr", "delitem", "setattr", "setitem"}
OF_THE_PROCESS = {"chdir", "delenv", "setenv", "syspath_prepend"}
CHANGES = {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update"}
SETTERS = {
    "locale.setlocale",
    "logging.disable",
    "os.chdir",
    "os.putenv",
    "os.umask",
    "os.unsetenv",
    "random.seed",
    "signal.alarm",
    "signal.setitimer",
    "signal.signal",
    "socket.setdefaulttimeout",
    "sys.setrecursionlimit",
    "time.tzset",
}
# What is set by them is set for all.
NOT_IMPORTED = {"gevent.monkey", "pyinfra.context", "unittest.mock"}

# As attributes, say of a program, they are still everybody's.
MODULES = {"gevent", "os", "pymysql", "select", "shutil", "signal", "socket", "ssl", "subprocess", "sys", "threading"}

# Returns what is the same for all.
HUB = "gevent.get_hub"

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Assignment = ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Delete
# What the names of a scope stand for, as `package.module.name`; None for what is not imported.
Scope = dict[str, str | None]


class Reader(ast.NodeVisitor):
    """Notes what a test file replaces or changes for others, too."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[tuple[int, str]] = []
        self.scopes: list[Scope] = []
        self._enter(tree)

    def _enter(self, each: ast.Module | Function) -> None:
        self.scopes.append(dict(names_in(each)))
        for assignment in ast.walk(each):
            if isinstance(assignment, ast.Assign | ast.AnnAssign) and assignment.value:
                for target in targets_of(assignment):
                    if isinstance(target, ast.Name) and (path := self.path(assignment.value)):
                        self.scopes[-1][target.id] = path
        self.generic_visit(each)
        self.scopes.pop()

    def path(self, value: ast.expr) -> str | None:
        """Return what is imported, with its attributes, as `package.module.name`; None for anything else."""
        if isinstance(value, ast.Name):
            return next((scope[value.id] for scope in reversed(self.scopes) if value.id in scope), None)
        if isinstance(value, ast.Attribute):
            path = self.path(value.value)
            return path and f"{path}.{value.attr}"
        if isinstance(value, ast.Call) and ast.unparse(value.func) in {"cast", "vars"} and value.args:
            return self.path(value.args[-1])
        return HUB if isinstance(value, ast.Call) and self.path(value.func) == HUB else None

    def is_shared(self, value: ast.expr) -> bool:
        """Tell whether something is there before the test and after it."""
        if self.path(value):
            return True
        if isinstance(value, ast.Name):
            # While a file is read, it makes what is its own.
            return (
                len(self.scopes) > 1
                and not any(value.id in scope for scope in self.scopes[1:])
                and value.id in self.scopes[0]
            )
        if isinstance(value, ast.Attribute):
            return value.attr in MODULES or self.is_shared(value.value)
        return isinstance(value, ast.Subscript) and self.is_shared(value.value)

    def note(self, each: ast.stmt | ast.expr, what: str) -> None:
        self.found.append((each.lineno, what))

    def visit(self, each: ast.AST) -> None:
        if isinstance(each, Function):
            self._enter(each)
            return
        if isinstance(each, ast.Import | ast.ImportFrom):
            for module in sorted(NOT_IMPORTED & set(modules_of(each))):
                self.note(each, module)
        elif isinstance(each, ast.Global):
            self.note(each, ast.unparse(each))
        elif isinstance(each, Assignment):
            for target in targets_of(each):
                if isinstance(target, ast.Attribute | ast.Subscript) and self.is_shared(target.value):
                    self.note(each, ast.unparse(target))
        elif isinstance(each, ast.Call) and self.is_change(each):
            self.note(each, shown(each))
        self.generic_visit(each)

    def is_change(self, call: ast.Call) -> bool:
        """Tell whether a call replaces or changes something for others, too."""
        if isinstance(call.func, ast.Name):
            return call.func.id in REPLACES and self.is_shared(call.args[0])
        if not isinstance(call.func, ast.Attribute):
            return False
        name, path = call.func.attr, self.path(call.func.value)
        if name in REPLACES and call.args:
            return not self.may_replace(call.args[0])
        if name in CHANGES:
            return self.is_shared(call.func.value) and not (path and isinstance(resolve_name(path), ModuleType))
        return name in OF_THE_PROCESS or f"{path}.{name}" in SETTERS

    def may_replace(self, target: ast.expr) -> bool:
        """Tell whether what MonkeyPatch is given belongs to us: a module, class or object, or a text with its name."""
        if isinstance(target, ast.Constant):
            return is_ours(str(target.value).rpartition(".")[0])
        path = self.path(target)
        return is_ours(path) if path else self.is_shared(target)


def is_ours(path: str) -> bool:
    """Tell whether a module, class or object belongs to us, not only the name that we have for it."""
    if path.partition(".")[0] not in OURS:
        return False
    found = resolve_name(path)
    home = found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", "builtins")
    return home.partition(".")[0] in {*OURS, "builtins"}


def names_in(scope: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Yield the names that a file or a function gives, and what is imported by them."""
    for each in ast.iter_child_nodes(scope):
        if isinstance(each, ast.Import):
            for alias in each.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
        elif isinstance(each, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{each.module}.{alias.name}") for alias in each.names)
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield each.name, None
        elif isinstance(each, ast.arg):
            yield each.arg, None
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id, None
        elif not isinstance(each, ast.Lambda):
            yield from names_in(each)


def targets_of(each: Assignment) -> Iterator[ast.expr]:
    for target in each.targets if isinstance(each, ast.Assign | ast.Delete) else [each.target]:
        yield from target.elts if isinstance(target, ast.Tuple) else [target]


def modules_of(each: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield what may be modules among what is imported."""
    if isinstance(each, ast.ImportFrom):
        yield str(each.module)
    prefix = f"{each.module}." if isinstance(each, ast.ImportFrom) else ""
    yield from (prefix + alias.name for alias in each.names)


def shown(call: ast.Call) -> str:
    """Return a call with what it replaces, and without what it puts there."""
    function = ast.unparse(call.func)
    return function if function.rpartition(".")[2] in CHANGES else f"{function}({ast.unparse(call.args[0])})"


def found_in(text: str) -> list[tuple[int, str]]:
    return Reader(ast.parse(text)).found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_nothing_that_others_share_is_replaced(file: Path) -> None:
    kept, found = KEPT.get(str(file.relative_to(TESTS)), {}), found_in(file.read_text())
    assert [f"{line}: {what}" for line, what in found if what not in kept] == []
    assert set(kept) == {what for _, what in found if what in kept}


def test_files_in_which_something_stays_are_there() -> None:
    assert set(KEPT) <= {str(file.relative_to(TESTS)) for file in FILES}


OF_A_TEST = """import os
import time as clock
from unittest.mock import patch
from ox_deploy.questions import bounds, run
from ox_deploy.remote.service import configure
from pyinfra import api
KNOWN = []
def test(monkeypatch, host, run):
    {}
"""


@pytest.mark.parametrize(
    "line",
    [
        "monkeypatch.setattr(os, 'stat', None)",
        "monkeypatch.setattr('time.sleep', None)",
        "monkeypatch.setattr(bounds.gevent, 'sleep', None)",
        "monkeypatch.setattr('ox_deploy.questions.bounds.gevent.sleep', None)",
        "monkeypatch.setattr(bounds.StringCommand, '__init__', None)",
        "monkeypatch.setattr(host, 'name', None)",
        "monkeypatch.setenv('PATH', '')",
        "monkeypatch.chdir('/')",
        "with pytest.MonkeyPatch.context() as other: other.delattr(clock, 'sleep')",
        "monkeypatch.setitem(os.environ, 'PATH', '')",
        "os.environ['PATH'] = ''",
        "del os.environ['PATH']",
        "os.environ.update(PATH='')",
        "os.umask(0)",
        "api.Host.name = ''",
        "clock.sleep, other = None, None",
        "module = clock; module.sleep = None",
        "setattr(clock, 'sleep', None)",
        "vars(clock)['sleep'] = None",
        "bounds.SECONDS = 1",
        "under_test(configure).os.fsync = None",
        "KNOWN.append(1)",
        "KNOWN[0] = 1",
        "global KNOWN",
        "from gevent import monkey",
        "import gevent.monkey",
        "from pyinfra.context import ctx_state",
        "import gevent; hub = gevent.get_hub(); hub.NOT_ERROR = ()",
    ],
)
def test_what_others_share_is_found(line: str) -> None:
    assert [number for number, _ in found_in(OF_A_TEST.format(line))] == [3, 9]


@pytest.mark.parametrize(
    "line",
    [
        "monkeypatch.setattr(bounds, 'gevent', None)",
        "monkeypatch.setattr(bounds.Guard, 'run', None)",
        "monkeypatch.setattr('ox_deploy.questions.bounds.Guard', None)",
        "under_test(configure).os = altered(os)",
        "host.name = run.name = ''",
        "run['a'] = 1",
        "KNOWN = []; KNOWN.append(1)",
        "os.remove('x')",
        "monkeypatch.undo()",
        "made = dict(os.environ); made['PATH'] = ''",
        "for clock in host: clock.now = 1",
    ],
)
def test_what_is_a_tests_own_may_be_replaced(line: str) -> None:
    assert [number for number, _ in found_in(OF_A_TEST.format(line))] == [3]
