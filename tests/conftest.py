"""Which tests are read, in which order, and how long they took."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest

UNIT = Path(__file__).parent / "unit"
TIMES = Path(__file__).parents[1] / ".lab"
MODULES_SHOWN = 40
# Its cold deploy is kept as the snapshot that the others get.
FIRST = "test_deploy"


class NotRead(pytest.Module):
    """A file whose tests are left out without importing it."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        return []


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """No unit test needs the lab, and to read them all takes its time."""
    if parent.config.getoption("markexpr") not in ("", "not lab") and module_path.is_relative_to(UNIT):
        return NotRead.from_parent(parent, path=module_path)
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.pluginmanager.has_plugin("randomly"):
        items.sort(key=lambda item: item.path.stem != FIRST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show how long each module took, the slowest last, and keep it as a file."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    by_time = sorted(seconds.items(), key=lambda item: item[1])[-MODULES_SHOWN:]
    slowest = [f"{took:7.1f} s  {module}" for module, took in by_time]
    if any("/integration/" in line for line in slowest):
        terminalreporter.section("seconds by module")
        terminalreporter.write_line("\n".join(slowest))
        kind = os.environ.get("OXLAB_DATABASE", "mariadb-10.11")
        TIMES.mkdir(mode=0o700, exist_ok=True)
        (TIMES / f"seconds-{kind}.txt").write_text("\n".join(slowest) + "\n")
