"""The modules of a program for the hosts, as one text: what its imports lead to, and nothing else."""

from __future__ import annotations

import ast
import base64
import json
import re
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import ox_deploy

# Only what is below this package runs on hosts, and one table that both sides read.
PACKAGE = "ox_deploy.remote"
SHARED = "ox_deploy.mysql.dialects"
# Import statements of ours, anywhere in a text; in brackets over several lines.
IMPORTS = re.compile(r"^[ \t]*((?:from|import)[ \t]+ox_deploy\b(?:[^\n(]*\([^)]*\)|[^\n(]*))$", re.MULTILINE)
_ROOT = Path(ox_deploy.__file__).parent.parent


@cache
def bundle(*modules: str) -> str:
    """Return these modules with all that they import of ours, as remote/loader.py takes them: by path, packed."""
    sources = {path: (_ROOT / path).read_text("utf-8") for path in paths_of(*modules)}
    return base64.b64encode(zlib.compress(json.dumps(sources).encode(), 9)).decode()


def paths_of(*modules: str, root: Path = _ROOT) -> list[str]:
    """Return the files of these modules, of all that they import of ours, and of their packages, sorted by name."""
    found: set[str] = set()
    left = list(modules)
    while left:
        module = left.pop()
        path = _path_of(module, root)
        if path not in found:
            found.add(path)
            left += [*_packages_of(module), *_imports_of(path, root)]
    return sorted(found)


def _packages_of(module: str) -> Iterator[str]:
    package = module.rpartition(".")[0]
    while package:
        yield package
        package = package.rpartition(".")[0]


@cache
def _imports_of(path: str, root: Path) -> tuple[str, ...]:
    """Return the modules of ours that a file imports, anywhere in it."""
    found = []
    # Only these statements are parsed: whole modules would take a tenth of a run that has nothing to change.
    statements = IMPORTS.findall((root / path).read_text("utf-8"))
    for node in ast.walk(ast.parse("\n".join(statements))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # Of a package, what is imported may be a module itself.
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name if _is_module(name, root) else str(node.module) for name in inner]
    ours = sorted({name for name in found if name.partition(".")[0] == PACKAGE.partition(".")[0]})
    strangers = [name for name in ours if name != SHARED and not name.startswith(f"{PACKAGE}.")]
    assert not strangers, f"{path} imports {strangers[0]}, which is not for the hosts"
    return tuple(ours)


def _path_of(module: str, root: Path) -> str:
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if (root / path).is_dir() else f"{path}.py"


def _is_module(name: str, root: Path) -> bool:
    return name.startswith((PACKAGE, SHARED)) and (root / _path_of(name, root)).is_file()
