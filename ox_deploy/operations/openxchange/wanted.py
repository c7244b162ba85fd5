"""What should be registered in configdb, and what is missing there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ox_deploy.facts.openxchange import Configdb, Pool, Registration
from ox_deploy.questions.question import Question
from ox_deploy.remote.configdb.state import RegistrationState
from ox_deploy.secrets import Secret


@dataclass(frozen=True)
class ConfigdbLayout:
    """What a product's configdb is like.

    `file` is where a node says how to log in there; `tables` are those that it has, and whether rows in them are
    registrations.
    """

    file: str
    tables: Mapping[str, bool]

    def question(self, contexts: Sequence[int] = ()) -> Question[Registration]:
        """Return what asks for all that is registered, with the users of some contexts."""
        return Question(Configdb, file=self.file, tables=dict(self.tables), contexts=list(contexts))


@dataclass(frozen=True)
class AdminCheck:
    """How the admin daemon is asked whether it answers: a tool with its arguments, and what that ends with while the
    daemon is still starting.
    """

    tool: str
    arguments: Sequence[str]
    starting: int


@dataclass(frozen=True)
class SessionAddresses:
    """Where a session is begun, used and ended, on the web host; the latter two with a hole for the session."""

    login: str
    request: str
    logout: str


@dataclass(frozen=True)
class WantedDatabase:
    """A database server to be registered; `writer` is the name of the one it reads for, None for a writer."""

    name: str
    address: str
    port: int
    user: str
    password: Secret
    writer: str | None = None

    @property
    def host(self) -> str:
        """Return what registerdatabase wants: the port only where it is not the usual one."""
        return self.address if self.port == 3306 else f"{self.address}:{self.port}"

    def is_at(self, url: str) -> bool:
        """Tell whether a registered URL is that of this server."""
        return _server_in(url) in (self.host, f"{self.address}:{self.port}")

    def moved(self, url: str) -> str:
        """Return a registered URL with the address of this server."""
        return url.replace(_server_in(url), self.host, 1)


@dataclass(frozen=True)
class WantedCluster:
    """Database servers with the same data: who is written to, and who is read from, which may be the same one."""

    writer: WantedDatabase
    reader: WantedDatabase

    @property
    def servers(self) -> Sequence[WantedDatabase]:
        """Return those that are to be registered, each once."""
        return [self.writer] if self.reader.address == self.writer.address else [self.writer, self.reader]


def _server_in(url: str) -> str:
    return url.removeprefix("jdbc:mysql://").split("/")[0].split("?")[0]


def moved_pools(databases: Sequence[WantedDatabase], found: Registration) -> list[dict[str, Any]]:
    """Return the registered databases that are elsewhere now, with their new URLs."""
    wanted = {database.name: database for database in databases}
    return [
        {"id": pool.id, "name": pool.name, "was": pool.url, "url": wanted[pool.name].moved(pool.url)}
        for pool in found.pools
        if pool.name in wanted and not wanted[pool.name].is_at(pool.url)
    ]


@dataclass(frozen=True)
class WantedUser:
    """A user to be created in a context."""

    name: str
    display_name: str
    given_name: str
    sur_name: str
    email: str
    password: Secret


@dataclass(frozen=True)
class WantedContext:
    """A context to be created; `quota` is in MB."""

    id: int
    name: str
    admin: str
    admin_display_name: str
    admin_email: str
    quota: int
    access: str
    password: Secret
    users: tuple[WantedUser, ...]


@dataclass(frozen=True)
class WantedRegistration:
    """What configdb should hold, and what it is like.

    `reader_rule` says in words which host of the inventory is read from.
    """

    layout: ConfigdbLayout
    server: str
    filestore: str
    databases: tuple[WantedDatabase, ...]
    contexts: tuple[WantedContext, ...]
    reader_rule: str

    def obstacle(self, found: Registration) -> str | None:
        """Return a sentence for what has to be put right by a person, or None."""
        if found.state == RegistrationState.NO_ACCESS:
            return (
                f"configdb cannot be asked ({found.error}); deploy the database chapter, "
                "or run with the database hosts included."
            )
        if found.state == RegistrationState.DAMAGED:
            return (
                f"configdb lacks the tables {found.error} but holds registrations; nothing was changed: "
                "restore it from a backup."
            )
        pools = {pool.name: pool for pool in found.pools}
        moved = {pool["name"] for pool in self._moved(found)}
        for database in self.databases:
            pool = pools.get(database.name)
            if pool and not database.is_at(pool.url) and pool.name not in moved:
                return (
                    f"configdb: database {database.name} is registered at {pool.url}; it should be at "
                    f"{database.host}; correct the inventory ({self.reader_rule}), or change the registration with "
                    "`changedatabase`."
                )
            if pool and database.writer and not _reads_from(found, pools.get(database.writer), pool):
                return (
                    f"configdb: {database.name} (id {pool.id}) is registered, but reads do not go to it; "
                    f"correct `read_db_pool_id` of db_cluster for the writer {database.writer}."
                )
        return None

    def _moved(self, found: Registration) -> list[dict[str, Any]]:
        """Return the registered readers that stand for the writer because there was none, with their URLs now."""
        writers = {database.name: database for database in self.databases if database.writer is None}
        readers = [database for database in self.databases if database.writer in writers]
        at_writer = {
            pool.name
            for pool in found.pools
            for reader in readers
            if pool.name == reader.name and writers[reader.writer or ""].is_at(pool.url)
        }
        return moved_pools([reader for reader in readers if reader.name in at_writer], found)

    def missing(self, found: Registration) -> dict[str, Any]:
        """Return what has to be done, as remote/openxchange/register.py wants it."""
        pools = {pool.name: pool for pool in found.pools}
        contexts = {context.id: context.users for context in found.contexts}
        return {
            "configdb": {RegistrationState.ABSENT: "create", RegistrationState.INCOMPLETE: "recreate"}.get(found.state),
            "servers": [self.server] if self.server not in found.servers else [],
            "filestores": [self.filestore] if self.filestore not in found.filestores else [],
            "pools": self._moved(found),
            "databases": [_database(wanted) for wanted in self.databases if wanted.name not in pools],
            "passwords": [
                {"name": wanted.name, "password": wanted.password.reveal()}
                for wanted in self.databases
                if not _has_password(pools.get(wanted.name), wanted.password)
            ],
            "contexts": [_context(wanted) for wanted in self.contexts if wanted.id not in contexts],
            "users": [
                _user(context, user)
                for context in self.contexts
                for user in context.users
                if user.name not in contexts.get(context.id, [])
            ],
        }


def _reads_from(found: Registration, writer: Pool | None, reader: Pool) -> bool:
    return writer is not None and found.clusters.get(writer.id) == reader.id


def _has_password(pool: Pool | None, password: Secret) -> bool:
    return pool is not None and pool.password.matches(password.reveal())


def _database(wanted: WantedDatabase) -> dict[str, Any]:
    return {"name": wanted.name, "host": wanted.host, "user": wanted.user, "writer": wanted.writer}


def _context(wanted: WantedContext) -> dict[str, Any]:
    values = asdict(wanted) | {"password": wanted.password.reveal()}
    del values["users"]
    return values


def _user(context: WantedContext, user: WantedUser) -> dict[str, Any]:
    return asdict(user) | {
        "password": user.password.reveal(),
        "context": context.id,
        "administrator": {"name": context.admin, "password": context.password.reveal()},
    }
