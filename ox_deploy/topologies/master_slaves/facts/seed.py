"""What a seeding has to know of both servers, and how far it is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact

# A server with tens of thousands of tables opens each of them for their sizes.
SURVEY_SECONDS = 3600


class Contents(BaseModel, frozen=True):
    """How much is in a database; the server estimates `rows` and `bytes`."""

    name: str
    tables: int
    rows: int
    bytes: int


class Broken(BaseModel, frozen=True):
    """A view, routine, trigger or event that cannot be dumped, and the server's error."""

    what: str
    name: str
    error: str


class Place(BaseModel, frozen=True):
    """A directory of a server, what it is used for, its file system, and how many bytes are free there.

    `use` is `data`, `beside` (what the data directory is in), `logs` or `temporary`.
    """

    use: str
    path: str
    device: int
    free: int


class Survey(BaseModel, frozen=True):
    """What a server has; only `missing` is known of one that does not answer.

    `missing` are the programs that a seeding uses and the host lacks, `not_transactional` tables that no snapshot
    covers, `directory_bytes` is what the data directory takes on its disk. `can_clone` tells whether a MySQL server has
    the plugin for it, `cloned_by` to which addresses it sends itself just now, and `alike` has the settings that are
    the same on both servers, some of them only if one is to run on the data of the other one.

    What another server needs to have its data: `engines` and `collations` in use, each with an object that uses it,
    `account_plugins` with their accounts, and keys for tables that are `encrypted`. What it has of that:
    `known_engines`, `known_collations`, active `plugins`, whether it `can_encrypt` and `has_time_zones` by name.
    `settings` may keep it from taking data or accounts, `checks_passwords` tells whether a plugin does that.
    `places` are where there has to be room. `backup_version` is that of the server for which `mariadb-backup` was made.
    """

    missing: list[str] = []
    databases: list[Contents] = []
    not_transactional: list[str] = []
    directory_bytes: int = 0
    can_clone: bool = False
    cloned_by: list[str] = []
    alike: dict[str, str] = {}
    backup_version: str = ""
    broken: list[Broken] = []
    engines: dict[str, str] = {}
    known_engines: list[str] = []
    collations: dict[str, str] = {}
    known_collations: list[str] = []
    account_plugins: dict[str, list[str]] = {}
    plugins: list[str] = []
    checks_passwords: bool = False
    encrypted: list[str] = []
    can_encrypt: bool = False
    has_time_zones: bool = False
    settings: dict[str, str] = {}
    places: list[Place] = []


class ServerSurvey(JsonFact[Survey]):
    """What there is to be copied from a server, or to be lost on it."""

    def command(self, programs: list[str], option_file: str | None = None) -> Program:
        """Ask the server over its own socket as root, or as `option_file` says; and which `programs` are missing."""
        return Program(
            "master_slaves.seed_survey", {"programs": programs, "option_file": option_file}, seconds=SURVEY_SECONDS
        )

    def parse(self, document: dict[str, Any]) -> Survey:
        """Return the typed form."""
        return Survey.model_validate(document)


class SeedState(BaseModel, frozen=True):
    """How far a host's part of a seeding is: what its program wrote last.

    `active` tells whether the program runs, `marked` whether this is a replica that has not all of its data yet, `kept`
    whether it still has its old ones, and `to` is on a master the address of the replica that it sends to.
    """

    active: bool = False
    marked: bool = False
    kept: bool = False
    stage: str = ""
    bytes: int = 0
    error: str = ""
    done: bool = False
    summary: str = ""
    to: str = ""


class Seeding(JsonFact[SeedState]):
    """How far the seeding is that this host takes part in."""

    def command(self) -> Program:
        """Ask the host."""
        return Program("master_slaves.seed_state", {})

    def parse(self, document: dict[str, Any]) -> SeedState:
        """Return the typed form."""
        return SeedState.model_validate(document)
