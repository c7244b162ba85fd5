"""Lets pytest-xdist run the tests of the lab: a lab for each worker, and an order that keeps all of them busy."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest

UNIT = Path(__file__).parent / "unit"
TIMES = Path(__file__).parents[1] / ".lab"
MODULES_SHOWN = 40
WORKER = os.environ.get("PYTEST_XDIST_WORKER")
# Its name has to be known before anything of the lab is read.
if WORKER:
    os.environ["OXLAB"] = f"{os.environ.get('OXLAB') or 'oxlab'}-{WORKER}"

# Longest first, so that the workers end at about the same time. Others come last.
ORDER = [
    "status",
    "seed",
    "changes",
    "switchover",
    "interrupted_changes",
    "bounds",
    "point_of_no_return",
    "two_runs",
    "verify",
    "interrupted",
    "deploy",
    "replication_settings",
    "seed_servers",
    "growth",
    "filestore_server",
]


class NotRead(pytest.Module):
    """A file whose tests are left out without importing it."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        return []


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """No unit test needs the lab. Some import pyinfra's command line, whose gevent stops the threads of a worker."""
    if parent.config.getoption("markexpr") not in ("", "not lab") and module_path.is_relative_to(UNIT):
        return NotRead.from_parent(parent, path=module_path)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if WORKER:
        items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    name = item.path.stem.removeprefix("test_")
    return ORDER.index(name) if name in ORDER else len(ORDER)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show how long each module took, the slowest last, and keep it as a file."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    by_time = sorted(seconds.items(), key=lambda item: item[1])[-MODULES_SHOWN:]
    slowest = [f"{took:7.1f} s  {module}" for module, took in by_time]
    if not WORKER and any("/integration/" in line for line in slowest):
        terminalreporter.section("seconds by module")
        terminalreporter.write_line("\n".join(slowest))
        kind = os.environ.get("OXLAB_DATABASE", "usual")
        TIMES.mkdir(mode=0o700, exist_ok=True)
        (TIMES / f"seconds-{kind}.txt").write_text("\n".join(slowest) + "\n")
