"""Imports the modules that came with a program from memory: nothing of them is written on the host."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType, TracebackType
from typing import Any, cast


class Sent:
    """Finds and loads modules by the paths of their files, such as `ox_deploy/remote/answers.py`.

    The base classes in importlib.abc would cost each question a tenth of its time.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.sources = sources

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load a module, None if it did not come along."""
        base = name.replace(".", "/")
        for file in (f"{base}.py", f"{base}/__init__.py"):
            if file in self.sources:
                spec = ModuleSpec(name, cast(Any, self), origin=file, is_package=file.endswith("/__init__.py"))
                spec.has_location = True
                return spec
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return None: an ordinary module will do."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's text."""
        file = str(module.__file__)
        exec(compile(self.sources[file], file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - it imports

    def show(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Print what ended a program, with the modules and lines that led there, as if the files were here."""
        import linecache
        import traceback

        for file, text in self.sources.items():
            linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        traceback.print_exception(kind, error, trace)


def load(sources: Mapping[str, str]) -> None:
    """Make modules importable, before all others of their names; sources are by path."""
    sent = Sent(sources)
    sys.meta_path.insert(0, sent)
    # The interpreter's own one looks for the lines on the disk.
    sys.excepthook = sent.show
