"""What is configured, running, registered and connected on a groupware node."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ox_deploy.facts.secret import Fingerprint
from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact
from ox_deploy.remote.configdb.state import RegistrationState


class StoredPassword(BaseModel, frozen=True):
    """The stored password of the cluster's administrator: the hash's salt, and a fingerprint of the hash."""

    salt: str
    hash: Fingerprint


class Configuration(BaseModel, frozen=True):
    """Values by file and key (None: missing or commented out); `exposed` are secret files others may read.

    `unreadable` are files and directories that are closed to the daemons.
    """

    installed: bool = False
    exposed: list[str] = []
    unreadable: list[str] = []
    values: dict[str, dict[str, str | None]] = {}
    secrets: dict[str, dict[str, Fingerprint]] = {}
    administrator: StoredPassword | None = None


class OpenXchangeConfiguration(JsonFact[Configuration]):
    """The configuration files of Open-Xchange, by the keys that matter."""

    def command(
        self,
        keys: dict[str, list[str]],
        secret_keys: dict[str, list[str]],
        administrator: dict[str, str | int] | None = None,
    ) -> Program:
        """Ask for `keys` and `secret_keys` (file below /opt/open-xchange/etc -> keys).

        And for an `administrator` by `name` in a `file` there, whose hash begins with a salt of `salt_length`.
        """
        wanted = {"keys": keys, "secret_keys": secret_keys, "administrator": administrator}
        return Program("openxchange_state", wanted)

    def parse(self, document: dict[str, Any]) -> Configuration:
        """Return the typed form."""
        return Configuration.model_validate(document)


class Daemon(BaseModel, frozen=True):
    """A daemon: what systemd says, whether it listens, whether it has yet to use changed files."""

    active: bool
    enabled: bool
    listening: bool
    pending: bool


class Daemons(JsonFact[dict[str, Daemon]]):
    """The daemons of a groupware node by service name."""

    def command(self, ports: dict[str, int]) -> Program:
        """Ask for the services in `ports` (service -> the port it listens on)."""
        return Program("daemons_state", {"units": ports})

    def parse(self, document: dict[str, Any]) -> dict[str, Daemon]:
        """Return the typed form."""
        return {name: Daemon.model_validate(daemon) for name, daemon in document.items()}


class CachePeers(JsonFact[dict[str, list[int]]]):
    """The hosts that the caches of this node are connected with: address -> cache ports involved."""

    def command(self, ports: list[int]) -> Program:
        """Ask for established connections of the cache `ports`, on either side."""
        return Program("cache_peers", {"ports": ports})

    def parse(self, document: dict[str, Any]) -> dict[str, list[int]]:
        """Return the typed form."""
        return document


class Pool(BaseModel, frozen=True):
    """A registered database server."""

    id: int
    name: str
    url: str
    login: str
    password: Fingerprint


class RegisteredContext(BaseModel, frozen=True):
    """A context with the names of its users."""

    id: int
    users: list[str]


class Registration(BaseModel, frozen=True):
    """What configdb holds, asked on the write host; `error` is why not, or the missing tables."""

    state: RegistrationState = RegistrationState.NO_ACCESS
    error: str = ""
    servers: list[str] = []
    filestores: list[str] = []
    pools: list[Pool] = []
    # read pool by write pool
    clusters: dict[int, int] = {}
    contexts: list[RegisteredContext] = []


class Configdb(JsonFact[Registration]):
    """The registrations in configdb, with the users of `contexts`."""

    def command(self, file: str, tables: dict[str, bool], contexts: list[int]) -> Program:
        """Ask the write host with the account that a `file` of the node's own configuration names.

        `tables` are those that configdb should have, and whether rows in them are registrations.
        """
        return Program("configdb_state", {"file": file, "tables": tables, "contexts": contexts})

    def parse(self, document: dict[str, Any]) -> Registration:
        """Return the typed form."""
        return Registration.model_validate(document)
