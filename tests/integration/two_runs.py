"""Two runs at the same time, and somebody who looks at both database servers meanwhile."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pymysql

from tests.integration.deployment import Run
from tests.integration.switching import ENVIRONMENT, SERVERS
from tests.integration.writing import connect, prepare
from tests.lab import state

LOSER = re.compile(
    r"another run is at work: (.+), by \S+ on \S+ \(process \d+\), since [-\d]+ [:\d]+ UTC; it holds the lease on \S+ "
    r"Nothing was changed; run again when it has ended. If it is dead, its lease expires in \d+ s; "
    r"`pyinfra -y inventory.py ox_deploy.deploys.lease.release` ends it now."
)
LOOK_SECONDS = 0.01


@dataclass
class Seen:
    """What somebody saw who asked both servers all the time."""

    both: list[float] = field(default_factory=list)
    looks: int = 0
    databases: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)


class Watcher:
    """Asks both servers every 10 ms whether they take writes, and the master which databases it has."""

    def __init__(self, master: str) -> None:
        # A replica that is seeded loses its databases, and gets them again.
        self._master = master
        self.seen = Seen()
        self._done = threading.Event()
        self._sessions: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._watch)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        order = [*SERVERS, SERVERS[0]]
        while not self._done.is_set():
            # The first one again at the end: it was open all the time.
            found = [self._is_open(server) for server in order]
            self.seen.looks += 1
            if all(found):
                self.seen.both.append(time.monotonic())
            self._look_at_databases()
            time.sleep(LOOK_SECONDS)

    def _is_open(self, server: str) -> bool:
        row = self._ask(server, "SELECT @@GLOBAL.read_only")
        return row is not None and row[0][0] == 0

    def _look_at_databases(self) -> None:
        found = self._ask(self._master, "SHOW DATABASES")
        if found is not None:
            now = {name for (name,) in found if not name.startswith("ox_verify_")}
            self.seen.missing |= self.seen.databases - now
            self.seen.databases |= now

    def _ask(self, server: str, statement: str) -> Any:
        try:
            session = self._sessions.get(server) or connect(server)
            self._sessions[server] = session
            with session.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        except pymysql.Error:
            self._sessions.pop(server, None)
            return None

    @property
    def span(self) -> float:
        """Return the time between the first and the last look that found both open, in seconds."""
        return self.seen.both[-1] - self.seen.both[0] if self.seen.both else 0.0


@contextmanager
def watching(master: str = SERVERS[0]) -> Iterator[Watcher]:
    prepare(master)
    watcher = Watcher(master)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


def start(argv: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv,
        cwd=state.ROOT,
        env={**os.environ, **ENVIRONMENT, "PYINFRA_PROGRESS": "off"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def end(process: subprocess.Popen[str]) -> Run:
    output, _ = process.communicate(timeout=300)
    return Run(process.returncode, output, "")


def both(first: Sequence[str], second: Sequence[str], offset: float) -> tuple[Run, Run]:
    """Start two runs, the second one some seconds after the first; return what came of them."""
    one = start(first)
    time.sleep(offset)
    other = start(second)
    return end(one), end(other)


def loser_of(*runs: Run) -> str | None:
    """Return what the run that came second was told the other one does; None if none came second."""
    for run in runs:
        found = LOSER.search(run.output)
        if found:
            return found[1]
    return None
