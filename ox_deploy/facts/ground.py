"""What is on a host already that makes a setting dangerous."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Directory(_Answer):
    """What is where the filestore should be: the path without links, its owner's ids if it is there, some entries."""

    real: str
    other: bool = False
    ids: tuple[int, int] | None = None
    entries: list[str] = []


class Ground(_Answer):
    """One host before a run.

    `taken` are system directories that look like a filestore of ours; `exported` and `mounted` are the paths in our own
    files. `port` (of the database server), `node_port` (where a node looks for it) and `server_name` are what the
    services were set up with; `memory` is in MB, 0 if not known.
    """

    directory: Directory | None = None
    taken: list[str] = []
    exported: list[str] = []
    mounted: str | None = None
    port: int | None = None
    node_port: int | None = None
    server_name: str | None = None
    memory: int = 0


class GroundState(JsonFact[Ground]):
    """All of it, in one command."""

    def command(
        self,
        filestore: str,
        user: str,
        configuration: str | None,
        configdb: str,
        system: str,
        shared: list[str],
        trees: list[str],
    ) -> Program:
        """Ask for the directory `filestore` ("" where it is not served), for the port in the file `configuration`, for
        what a node's files `configdb` and `system` say, and for the directories in `shared` and in and below `trees`
        that belong to `user`.
        """
        files = {"configuration": configuration, "configdb": configdb, "system": system}
        return Program(
            "ground_state", {"filestore": filestore, "user": user, **files, "shared": shared, "trees": trees}
        )

    def parse(self, document: dict[str, Any]) -> Ground:
        """Return the typed form."""
        return Ground.model_validate(document)
