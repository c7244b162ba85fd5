"""Only questions.pyinfra_internals uses what pyinfra does not document, so that a new version is a matter of one file.

What pyinfra's objects have is taken from the pyinfra that is installed; what of it is documented stands here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from pyinfra.api import Config, Inventory, State, StringCommand
from pyinfra.api.operation import OperationMeta
from pyinfra.api.state import StateHostMeta, StateHostResults, StateOperationMeta
from pyinfra.connectors.ssh import SSHConnector

ROOT = Path(__file__).parents[2]
INTERNALS = ROOT / "ox_deploy" / "questions" / "pyinfra_internals.py"

# What may be imported, by module.
PUBLIC = {
    "pyinfra": {"host", "inventory"},
    "pyinfra.api": {
        "BaseStateCallback",
        "Config",
        "FactBase",
        "Host",
        "Inventory",
        "OperationError",
        "QuoteString",
        "State",
        "StringCommand",
        "deploy",
        "operation",
    },
    "pyinfra.api.exceptions": {"ConnectError", "PyinfraError"},
}
# What may be used of the objects.
DOCUMENTED = {
    # of a host
    "data",
    "get_fact",
    "groups",
    "inventory",
    "log",
    "name",
    "noop",
    # of an inventory
    "get_data",
    "get_group",
    "get_group_data",
    "get_host",
    "get_host_data",
    "get_override_data",
    # of the output of a command
    "stderr_lines",
    "stdout",
    "stdout_lines",
}
# What objects of other libraries have, too.
COMMON = {"args", "cwd", "group_data"}
# How objects of pyinfra are called in annotations.
KINDS = {"Host", "Inventory", "State"}


@cache
def undocumented() -> frozenset[str]:
    """Return what pyinfra's objects have besides."""
    inventory = Inventory((["@local"], {}))
    state = State(inventory, Config())
    host = inventory.get_host("@local")
    of_operations = [StateOperationMeta(()), OperationMeta("", None), StateHostMeta(), StateHostResults()]
    connectors = [host.connector, SSHConnector(state, host)]
    objects: list[object] = [state, state.config, inventory, host, *connectors, StringCommand(), *of_operations]
    names = {name for each in objects for name in [*dir(each), *annotated(type(each))]}
    return frozenset(name for name in names - DOCUMENTED - COMMON if not name.startswith("__"))


def annotated(kind: type) -> set[str]:
    return {name for each in kind.__mro__ for name in vars(each).get("__annotations__", {})}


@cache
def files() -> tuple[Path, ...]:
    """Return the project's code, without what runs on the hosts, where there is no pyinfra."""
    own = (ROOT / "ox_deploy").rglob("*.py")
    remote = ROOT / "ox_deploy" / "remote"
    settings = [ROOT / name for name in ("config.py", "deploy.py", "inventory.py", "group_data/all.py")]
    return (*settings, *(file for file in own if remote not in file.parents))


@cache
def own_names() -> frozenset[str]:
    """Return the attributes that objects of ours have, too: these are looked at only where the object is pyinfra's."""
    return frozenset(name for file in files() if file != INTERNALS for name in defined(ast.parse(file.read_text())))


def defined(tree: ast.AST) -> Iterator[str]:
    for each in ast.walk(tree):
        if isinstance(each, ast.FunctionDef | ast.ClassDef):
            yield each.name
        elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            yield each.target.id
        elif isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
            yield each.attr
        elif isinstance(each, ast.Assign):
            yield from (target.id for target in each.targets if isinstance(target, ast.Name))


def violations(text: str) -> list[str]:
    """Return what a module uses of pyinfra that is not documented, with the line."""
    tree = ast.parse(text)
    objects, own = set(pyinfras_objects(tree)), set(defined(tree))
    found: list[tuple[int, str]] = []
    for each in ast.walk(tree):
        found += [(getattr(each, "lineno", 0), name) for name in wrong_imports(each)]
        if isinstance(each, ast.Attribute) and is_wrong(each, objects, own):
            found.append((each.lineno, ast.unparse(each)))
        found += [(name.lineno, repr(name.value)) for name in names_in_text(each) if name.value in undocumented()]
    return [f"{line}: {what}" for line, what in sorted(found)]


def wrong_imports(each: ast.AST) -> Iterator[str]:
    if isinstance(each, ast.Import):
        yield from (f"import {alias.name}" for alias in each.names if is_pyinfra(alias.name))
    elif isinstance(each, ast.ImportFrom) and each.module and is_pyinfra(each.module):
        public = PUBLIC.get(each.module, set())
        yield from (f"from {each.module} import {alias.name}" for alias in each.names if alias.name not in public)


def names_in_text(each: ast.AST) -> Iterator[ast.Constant]:
    """Yield names of attributes that are given as texts."""
    if isinstance(each, ast.Call) and ast.unparse(each.func) in {"getattr", "hasattr", "setattr", "delattr"}:
        yield from (argument for argument in each.args if isinstance(argument, ast.Constant))
    elif isinstance(each, ast.Subscript) and isinstance(each.slice, ast.Constant) and is_namespace(each.value):
        yield each.slice


def is_namespace(value: ast.expr) -> bool:
    text = ast.unparse(value)
    return text.startswith("vars(") or text.endswith(".__dict__")


def is_pyinfra(module: str) -> bool:
    return module.partition(".")[0] in {"pyinfra", "pyinfra_cli", "pyinfra_testing"}


def pyinfras_objects(tree: ast.AST) -> Iterator[str]:
    """Yield the names in a module that stand for objects of pyinfra."""
    for each in ast.walk(tree):
        if isinstance(each, ast.ImportFrom) and each.module == "pyinfra":
            yield from (alias.name for alias in each.names)
        elif isinstance(each, ast.arg) and is_kind(each.annotation):
            yield each.arg
        elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and is_kind(each.annotation):
            yield each.target.id


def is_kind(annotation: ast.expr | None) -> bool:
    """Tell whether an annotation says that something is an object of pyinfra, or None."""
    return annotation is not None and ast.unparse(annotation).removesuffix(" | None") in KINDS


def is_wrong(attribute: ast.Attribute, objects: Iterable[str], own: Iterable[str]) -> bool:
    """Tell whether an attribute is pyinfra's own affair, or a private one of whose object it may be."""
    name, value = attribute.attr, attribute.value
    if ast.unparse(value) == INTERNALS.stem:
        return False
    if isinstance(value, ast.Name) and value.id in objects:
        return name not in DOCUMENTED
    if name.startswith("_") and not name.startswith("__"):
        return name not in own and ast.unparse(attribute) != "os._exit"
    return name in undocumented() - own_names()


@pytest.mark.parametrize("file", [file for file in files() if file != INTERNALS], ids=lambda file: file.stem)
def test_what_pyinfra_does_not_document_is_used_in_one_place(file: Path) -> None:
    assert violations(file.read_text()) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import pyinfra.connectors.util", "import pyinfra.connectors.util"),
        ("import pyinfra_cli", "import pyinfra_cli"),
        ("from pyinfra.context import state", "from pyinfra.context import state"),
        ("from pyinfra.api import host", "from pyinfra.api import host"),
        ("def f():\n    from pyinfra_cli.util import load_func", "from pyinfra_cli.util import load_func"),
        ("print(x.executing_op_hash)", "x.executing_op_hash"),
        ("x.config.FAIL_PERCENT = 0", "x.config.FAIL_PERCENT"),
        ("x.fail_hosts()", "x.fail_hosts"),
        ("vars(x)['run_shell_command'] = 1", "'run_shell_command'"),
        ("getattr(x, 'failed_hosts')", "'failed_hosts'"),
        ("operation._inner()", "operation._inner"),
        ("from pyinfra import host\nhost.state", "host.state"),
        ("def f(peer: Host | None):\n    return peer.connect()", "peer.connect"),
        ("def f(x):\n    other: Inventory = x\n    return other.hosts", "other.hosts"),
    ],
)
def test_use_of_what_is_not_documented_is_found(text: str, found: str) -> None:
    assert [violation.partition(": ")[2] for violation in violations(text)] == [found]


def test_what_is_documented_may_be_used() -> None:
    text = "from pyinfra import host\nfrom pyinfra.api import Host\nhost.name, host.get_fact(x), y.state, y.groups"
    assert violations(text) == []


def test_names_that_may_be_imported_are_there() -> None:
    for module, names in PUBLIC.items():
        assert names <= set(dir(__import__(module, fromlist=["*"])))
