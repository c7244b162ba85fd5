"""A database server looks at the others before it starts: whether it is still the master."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ox_deploy.remote.master_slaves.switch import before_start
from ox_deploy.remote.master_slaves.switch.fence import TAKEN_OVER, decided_in
from tests.unit.programs import MARIADB, MYSQL, Session, under_test

MASTER = "[mysqld]\nserver-id = 1\nread_only = OFF\n"
PEER = {"name": "dbslave", "host": "192.0.2.22", "port": 3306, "user": "replication", "password": "x", "ca": ""}
# When the server that starts wrote last.
LAST = 1_700_000_000


class Starting:
    """A server that is about to start, with another one that can be asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = under_test(before_start)
        self.fence = folder / "fence.cnf"
        self.write("configuration", MASTER)
        self.write("logs", f"[mysqld]\nlog_bin = {folder}/mysql-bin.log\n")
        self.write("mysql-bin.index", f"./mysql-bin.000001\n{folder}/mysql-bin.000002\n")
        os.utime(self.write("mysql-bin.000002", ""), (LAST, LAST))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def look(self, peer: Session | Exception) -> dict[str, str]:
        """What is on the disk afterwards of who took over."""

        def connect(*_: Any, **options: Any) -> Session:
            if isinstance(peer, Exception):
                raise peer
            return peer

        self.program.connect_to = connect
        files = {"configuration": str(self.folder / "configuration"), "logs": str(self.folder / "logs")}
        self.program.switch_before_start({**files, "fence": str(self.fence), "peers": [PEER], "seconds": 3})
        return decided_in(self.fence.read_text()) if self.fence.exists() else {}


@pytest.fixture
def starting(tmp_path: Path) -> Starting:
    return Starting(tmp_path)


def mariadb(state: str, read_only: int = 0) -> Session:
    answers = {"@@GLOBAL.read_only": read_only, "@@GLOBAL.gtid_binlog_state": state, "@@GLOBAL.server_id": 2}
    return Session({f"SELECT {name}": [{"value": value}] for name, value in answers.items()}, MARIADB)


def mysql(gtids: str, read_only: int = 0) -> Session:
    answers = {"@@GLOBAL.read_only": read_only, "@@GLOBAL.gtid_executed": gtids}
    return Session({f"SELECT {name}": [{"value": value}] for name, value in answers.items()}, MYSQL)


OTHERS = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-345"
SUCCESSORS = {
    "wrote later": mariadb("0-1-345,0-2-346"),
    "wrote later in one of several domains": mariadb("0-1-345,1-3-7,0-2-400"),
    "has a mark of a time when this one was dead": mysql(f"{OTHERS},\n{TAKEN_OVER}:{LAST - 900}:{LAST + 60}"),
}
NO_SUCCESSORS = {
    "takes no writes": mariadb("0-1-345,0-2-346", read_only=1),
    "takes no writes, MySQL": mysql(f"{TAKEN_OVER}:{LAST + 60}", read_only=1),
    "replica that somebody opened": mariadb("0-1-345"),
    "replica that somebody opened and wrote to": mariadb("0-1-345,0-2-200"),
    "replica that somebody opened, MySQL": mysql(OTHERS),
    "took over once, before this one did": mysql(f"{OTHERS},{TAKEN_OVER}:{LAST - 900}-{LAST - 880}"),
    "is dead": OSError("no route to host"),
}


@pytest.mark.parametrize("peer", SUCCESSORS.values(), ids=SUCCESSORS)
def test_master_whose_place_was_taken_starts_read_only(starting: Starting, peer: Session) -> None:
    assert starting.look(peer) == {"to": "dbslave"}
    assert "read_only = ON" in starting.fence.read_text()


@pytest.mark.parametrize("peer", NO_SUCCESSORS.values(), ids=NO_SUCCESSORS)
def test_master_starts_as_it_was_beside_others(starting: Starting, peer: Session | Exception) -> None:
    assert starting.look(peer) == {}


@pytest.mark.parametrize("where", ["configuration", "fence.cnf"])
def test_server_that_starts_read_only_asks_nobody(starting: Starting, where: str) -> None:
    starting.write(where, MASTER.replace("OFF", "ON"))
    peer = mariadb("0-1-345,0-2-346")
    assert starting.look(peer) == {}
    assert peer.done == []


def test_mark_alone_is_no_proof_where_nobody_knows_when_this_server_wrote(starting: Starting) -> None:
    (starting.folder / "mysql-bin.index").unlink()
    assert starting.look(mysql(f"{TAKEN_OVER}:{LAST + 60}")) == {}
