"""Writes numbered rows all the time, and knows which ones were acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql

from tests.integration.database import has, position, sql
from tests.lab import nodes

DATABASE = "lab_writer"
PASSWORD = "lab-writer-1"
# A number whose fate is unknown is not tried again.
TIMEOUT = 2
PAUSE_SECONDS = 0.002


def prepare(master: str) -> None:
    """Make the table and an account that may write into it from this machine."""
    statements = (
        f"CREATE DATABASE IF NOT EXISTS {DATABASE};"
        f" CREATE TABLE IF NOT EXISTS {DATABASE}.numbers (n BIGINT PRIMARY KEY);"
        f" CREATE USER IF NOT EXISTS {DATABASE}@'%' IDENTIFIED BY '{PASSWORD}';"
        f" GRANT INSERT, SELECT ON {DATABASE}.* TO {DATABASE}@'%'"
    )
    sql(master, statements)


def connect(node: str) -> Any:
    return pymysql.connect(
        host=nodes.node(node).address,
        user=DATABASE,
        password=PASSWORD,
        database=DATABASE,
        autocommit=True,
        connect_timeout=1,
        read_timeout=TIMEOUT,
        write_timeout=TIMEOUT,
    )


def rows(node: str) -> set[int]:
    """Return the numbers that a server has."""
    return {int(line) for line in sql(node, "SELECT n FROM numbers", DATABASE).split()}


class Writer:
    """Inserts at whichever server takes it, as Open-Xchange would after it was pointed there."""

    def __init__(self, servers: Sequence[str]) -> None:
        self.servers = list(servers)
        self.acknowledged: set[int] = set()
        self.refused = 0
        # When two servers took writes at the same time.
        self.both: list[float] = []
        # Times of two acknowledged rows with nothing between, the longest one.
        self.gap = 0.0
        self._done = threading.Event()
        self._sessions: dict[str, Any] = {}
        self._number = int(time.time() * 1000) * 1000

    def write(self) -> None:
        last = time.monotonic()
        while not self._done.is_set():
            self._number += 1
            if self._insert(self.servers[0]):
                now = time.monotonic()
                self.gap, last = max(self.gap, now - last), now
                self.acknowledged.add(self._number)
                # Some hundred rows a second: more of them only take the processor away from what is tried.
                time.sleep(PAUSE_SECONDS)
            else:
                self.refused += 1
                self.servers.append(self.servers.pop(0))

    def _insert(self, server: str) -> bool:
        try:
            session = self._sessions.get(server) or connect(server)
            self._sessions[server] = session
            with session.cursor() as cursor:
                cursor.execute("INSERT INTO numbers VALUES (%s)", [self._number])
        except pymysql.Error:
            self._sessions.pop(server, None)
            return False
        return True

    def watch(self) -> None:
        """Look all the time whether two servers are open at once."""
        sessions: dict[str, Any] = {}
        order = list(self.servers)
        while not self._done.is_set():
            # The first one again at the end: it was open all the time.
            found = [self._is_open(server, sessions) for server in [*order, order[0]]]
            if found[0] and found[-1] and any(found[1:-1]):
                self.both.append(time.monotonic())
            time.sleep(0.02)

    @staticmethod
    def _is_open(server: str, sessions: dict[str, Any]) -> bool:
        try:
            session = sessions.get(server) or connect(server)
            sessions[server] = session
            with session.cursor() as cursor:
                cursor.execute("SELECT @@GLOBAL.read_only")
                return bool(cursor.fetchone()[0] == 0)
        except pymysql.Error:
            sessions.pop(server, None)
            return False

    def stop(self) -> None:
        self._done.set()

    def lost(self, *servers: str) -> set[int]:
        """Return the acknowledged rows that none of the servers has."""
        return self.acknowledged - set().union(*(rows(server) for server in servers))


@contextmanager
def writing(*servers: str) -> Iterator[Writer]:
    """Write until the end; the first server is the master now."""
    prepare(servers[0])
    writer = Writer(servers)
    threads = [threading.Thread(target=writer.write), threading.Thread(target=writer.watch)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        yield writer
        time.sleep(1)
    finally:
        writer.stop()
        for thread in threads:
            thread.join()


def wait_until_equal(master: str, *slaves: str) -> None:
    """Wait until the replicas have what the master has."""
    last = position(master)
    for slave in slaves:
        assert has(slave, last), f"{slave} did not get {last}"
