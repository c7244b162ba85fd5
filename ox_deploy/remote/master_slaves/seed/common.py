"""What the programs of a seeding share.

They run as a systemd unit of their own, so that a control machine that goes away stops nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Protocol, TypeAlias

from ox_deploy.remote.common.ending import Failure
from ox_deploy.remote.common.types import Document

STATE_FILE = "/run/ox-deploy/seed.json"
# Is on the replica from the first byte to the end: what is there meanwhile is not the master's data.
MARK = "/var/lib/ox-deploy/seeding"
# A network that was cut for a while recovers; after so long without a byte nothing will come any more.
STALL_SECONDS = 300
# What programs tell beside errors.
HARMLESS = (
    # MySQL's mark of what is no error, such as an option that is going to have another name.
    r"\[Warning\]",
    # The GTIDs of a snapshot are those of all databases, and that is what a replica of this master is told.
    r"^Warning: A partial dump from a server that has GTIDs",
    # MariaDB, from 11.4 on: nobody asked who the master is.
    r"^WARNING: option --ssl-verify-server-cert is disabled",
)


class Moving(Protocol):
    """What moves data, and can be ended: a process, or a statement of another session."""

    def kill(self) -> object:
        """End it."""

    def wait(self) -> object:
        """Wait for its end."""


class Progress:
    """What those who wait are told: written several times a second by a thread of its own."""

    def __init__(self) -> None:
        self.state: Document = {"stage": "begins", "bytes": 0, "error": "", "done": False, "summary": ""}
        self.children: Sequence[Moving] = ()
        self.stalled = False
        self._moved = time.monotonic()
        self._over = threading.Event()
        self._writes = threading.Lock()
        self._thread = threading.Thread(target=self._report, daemon=True)
        self._thread.start()

    def stage(self, name: str) -> None:
        """Begin another part of the work."""
        self.state["stage"] = name
        self.write()

    def count(self, number: int) -> None:
        """Note that bytes came."""
        self.state["bytes"] += number
        self._moved = time.monotonic()

    @contextlib.contextmanager
    def moving(self, *children: Moving) -> Iterator[None]:
        """While these processes move bytes: kill them when nothing moves any more, and in the end in any case."""
        self._moved = time.monotonic()
        self.children = children
        try:
            yield
        finally:
            self.children = ()
            for child in children:
                child.kill()
                child.wait()

    def write(self) -> None:
        """Write the state in one step; the thread and the work may want to at the same time."""
        os.makedirs(os.path.dirname(STATE_FILE), mode=0o700, exist_ok=True)
        with self._writes:
            with open(STATE_FILE + ".new", "w") as file:
                json.dump(self.state, file)
            os.rename(STATE_FILE + ".new", STATE_FILE)

    def end(self, **last: Any) -> None:
        """Write the last state."""
        self._over.set()
        self._thread.join()
        self.state.update(last)
        self.write()

    def _report(self) -> None:
        while not self._over.wait(0.25):
            self.write()
            if self.children and time.monotonic() - self._moved > STALL_SECONDS:
                self.stalled = True
                for child in self.children:
                    child.kill()


Action: TypeAlias = Callable[[Document, Progress, str], str]


def work(action: Action, job: Document) -> None:
    """Do the work of a unit and write down what came of it."""
    progress = Progress()
    try:
        # systemd removes it when the unit is gone, however that came.
        summary = action(job, progress, os.environ["RUNTIME_DIRECTORY"])
    except (Exception, Failure) as error:
        progress.end(error=str(error) or type(error).__name__)
        sys.exit(1)
    progress.end(stage="done", done=True, summary=summary)


def private(folder: str, name: str, text: str) -> str:
    """Write a file that only root can read, and return its path."""
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return path


def pour(source: IO[bytes], sink: IO[bytes], progress: Progress) -> None:
    """Move all bytes of a pipe into another one without looking at them; count them."""
    while True:
        number = os.splice(source.fileno(), sink.fileno(), 1 << 20)
        if not number:
            return
        progress.count(number)


def start(argv: list[str], folder: str, **pipes: Any) -> subprocess.Popen[bytes]:
    """Start a process; what it says goes to a file of its name."""
    with open(os.path.join(folder, argv[0] + ".log"), "w") as log:
        child = subprocess.Popen(argv, stderr=log, **pipes)
    for pipe in filter(None, (child.stdin, child.stdout)):
        enlarge(pipe.fileno())
    return child


def pipe_of(end: IO[bytes] | None) -> IO[bytes]:
    """Return the end of a pipe that a process was started with."""
    assert end is not None
    return end


def enlarge(pipe: int) -> None:
    """Let a pipe hold more, so that those at its ends wait for each other less; the system may not want to."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def no_data_came() -> str:
    """Say why all was given up."""
    text = "no data arrived for {} seconds; check the network and both servers, and seed again"
    return text.format(STALL_SECONDS)


def complaints_of(name: str, folder: str) -> str:
    """Return the errors that a process told although it ended well; "" if there were none."""
    with open(os.path.join(folder, name + ".log"), errors="replace") as log:
        lines = [line.strip()[:300] for line in log if line.strip()]
    return " / ".join([line for line in lines if not any(re.search(text, line) for text in HARMLESS)][-2:])


def said_by(name: str, folder: str) -> str:
    """Return the last lines in which a process said what went wrong, without the data that it may have shown."""
    with open(os.path.join(folder, name + ".log"), errors="replace") as log:
        lines = [line.strip()[:300] for line in log if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return " / ".join((errors or lines)[-2:]) or "it said nothing"
