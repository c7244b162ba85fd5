"""The programs by their names: `service_configure` is the function of this name in service/configure.py.

Those of a topology have its package before that: `master_slaves.seed_start` is in master_slaves/seed/start.py.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def module_of(name: str) -> str:
    """Return the module of a program."""
    package, dot, function = name.rpartition(".")
    return f"ox_deploy.remote.{package}{dot}" + function.replace("_", ".", 1)


def program(name: str) -> Callable[[Any], Any]:
    """Return a program, which takes one JSON document; a question returns another one."""
    function: Callable[[Any], Any] = getattr(import_module(module_of(name)), name.rpartition(".")[2])
    return function
