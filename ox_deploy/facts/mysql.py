"""What a MySQL or MariaDB server is like: one pymysql session on its host answers everything."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel

from ox_deploy.facts.secret import Fingerprint
from ox_deploy.mysql.dialects import dialect_of, server_of_version
from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact
from ox_deploy.topologies.master_slaves.facts.replication import Replication


class ServerState(Enum):
    """Whether a server could be asked; anything but RUNNING means that nothing is known of its data."""

    RUNNING = "running"
    NOT_INSTALLED = "not installed"
    NO_DRIVER = "no driver"
    NOT_RUNNING = "not running"
    NO_RIGHTS = "no rights"
    NO_ACCOUNTS = "no accounts"


class Grant(BaseModel, frozen=True):
    """The rights on one object; `on` is `*.*`, `db.*` or `db.table`."""

    on: str
    privileges: frozenset[str]
    grant_option: bool


class Account(BaseModel, frozen=True):
    """An account as the server knows it; `password` is a fingerprint of what is stored of it.

    `salted` is the part of that before the digest, if there is one. `tls` is "" if it may log in unencrypted, "ANY" if
    not, something else if it even has to show a certificate. `limits` are the words of ALTER USER for what limits it.
    """

    user: str
    host: str
    plugin: str
    password: Fingerprint
    grants: list[Grant]
    tls: str = ""
    salted: str = ""
    locked: bool = False
    expired: bool = False
    limits: list[str] = []


class BinaryLog(BaseModel, frozen=True):
    """Where the binary log stands; `complete` if it holds all that was ever written to this server.

    `files` are those that are still there, in their order; `before` are the last transactions that were written before
    them, by GTID.
    """

    file: str
    position: int
    first_file: str
    complete: bool
    files: list[str] = []
    before: str = ""


class Difference(BaseModel, frozen=True):
    """A variable of a running server that is not what `file`, which is ours, says; `why` also says what to do.

    `overruled` tells whether a restart would not change it: another file wins, or ours is not read.
    """

    name: str
    value: str
    wanted: str
    file: str
    why: str
    overruled: bool

    @property
    def found(self) -> str:
        """Return it in words."""
        return f"`{self.name}` is {self.value}, but {self.file} says {self.wanted}"


class Gtid(BaseModel, frozen=True):
    """What was replicated and what is in the binary log, as GTIDs in the server's own form.

    MySQL does not tell them apart, so `slave` is empty there.
    """

    slave: str = ""
    binlog: str = ""


class MysqlStatus(Replication, BaseModel, frozen=True):
    """One server. Only `state`, `error` and what is on the disk is known unless the state is RUNNING.

    `gtid_state` has the GTIDs of all transactions that were written here or replicated: on MySQL all of them, on
    MariaDB the last one of each domain and server, as far as they went to the binary log. `free` is the room for data
    and binary log in bytes. `set_in` tells of some options which line of which file sets them. `defaults` is what
    databases and tables get that do not say it themselves, with the server's `version`; of one that does not run only
    known if it has no data of its own yet.
    """

    state: ServerState = ServerState.NOT_INSTALLED
    error: str = ""
    version: str = ""
    variables: dict[str, str] = {}
    databases: list[str] = []
    accounts: list[Account] = []
    binary_log: BinaryLog | None = None
    gtid_state: str = ""
    gtid: Gtid = Gtid()
    free: int | None = None
    set_in: dict[str, str] = {}
    defaults: dict[str, str] = {}
    differences: list[Difference] = []

    @property
    def is_mariadb(self) -> bool:
        """Tell whether it is MariaDB; otherwise it is MySQL."""
        return server_of_version(self.version) == "MariaDB"

    @property
    def role(self) -> dict[str, Any] | None:
        """Return what an order that depends on the role finds again right before it is carried out (role/check.py).

        None for a server that could not be asked.
        """
        if self.state is not ServerState.RUNNING:
            return None
        source = f"{self.replica.host}:{self.replica.port}" if self.replica else None
        read_only = self.variables.get("read_only") != "OFF"
        data = {"written": self.gtid.binlog, "databases": self.databases}
        return {"read_only": read_only, "source": source, **data}

    @property
    def dialect(self) -> Mapping[str, Any]:
        """Return what the server calls things (mysql/dialects.py)."""
        return dialect_of(self.version)


class Mysql(JsonFact[MysqlStatus]):
    """The server of this host, with the accounts of `users`."""

    def command(self, users: list[str], option_file: str | None = None) -> Program:
        """Ask the server over its own socket as root, or as `option_file` says."""
        return Program("mysql_state", {"users": users, "option_file": option_file})

    def parse(self, document: dict[str, Any]) -> MysqlStatus:
        """Return the typed form."""
        return MysqlStatus.model_validate(document)
