"""How a server replicates: the part of its state that is the topology's (facts/mysql.py has the rest)."""

from __future__ import annotations

from pydantic import BaseModel

from ox_deploy.facts.secret import Fingerprint


class Replica(BaseModel, frozen=True):
    """Where a server replicates from and how it goes; `seconds_behind` is None while a thread stands still.

    `received` is the GTID position up to which it has the master's transactions, if it is `using_gtid`. `file` and
    `position` are those of what was executed last, `read_file` is the one that it would read next: "" if that is not
    known, and nothing of these is asked from the master if it is `using_gtid`. `ca` is the
    file with the certificates of which the master has to show one, "" if the connection is not encrypted.
    `semi_synchronous` tells whether it acknowledges to the master what it has received. `name` is that of the
    connection, "" for the default one, and `delay` how many seconds late it applies what it receives, on purpose.
    """

    name: str = ""
    host: str
    port: int
    user: str
    io_running: str
    sql_running: str
    io_error: str
    sql_error: str
    file: str
    position: int
    password: Fingerprint | None
    seconds_behind: int | None = None
    read_file: str = ""
    using_gtid: bool = False
    received: str = ""
    ca: str = ""
    semi_synchronous: bool = False
    delay: int = 0


class Replication(BaseModel, frozen=True):
    """From whom a server replicates and who from it.

    `slaves` has the addresses of those that read from here just now, by their server id. `named` are the connections
    with a name by which it replicates, `parallel` is how many threads apply. `filters` are those options that are set
    of what keeps something out of the binary log or out of a replica.
    On the disk are: `seeding`, set from the first byte of a seeding to its end, also if it died half way; `handed_to`
    and `taken_from`, the other server's name from the decision in a switch of the master until that is complete.
    """

    replica: Replica | None = None
    named: list[Replica] = []
    slaves: dict[str, str] = {}
    parallel: int = 0
    filters: dict[str, str] = {}
    seeding: bool = False
    handed_to: str = ""
    taken_from: str = ""

    @property
    def connections(self) -> list[Replica]:
        """Return all connections by which it replicates, the default one first."""
        return [*([self.replica] if self.replica else []), *self.named]
