"""The programs by their names: `service_configure` is the function of this name in service/configure.py."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def module_of(name: str) -> str:
    """Return the module of a program."""
    return "ox_deploy.remote." + name.replace("_", ".", 1)


def program(name: str) -> Callable[[Any], Any]:
    """Return a program, which takes one JSON document; a question returns another one."""
    function: Callable[[Any], Any] = getattr(import_module(module_of(name)), name)
    return function
