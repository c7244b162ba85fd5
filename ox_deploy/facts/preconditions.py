"""What is on a host already that makes a setting dangerous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact


class Directory(BaseModel, frozen=True):
    """What is where the filestore should be: the path without links, its owner's ids if it is there, some entries."""

    real: str
    other: bool = False
    ids: tuple[int, int] | None = None
    entries: list[str] = []


class TakenPort(BaseModel, frozen=True):
    """A port that one of `units` needs, and the program that has it; `unit` is that program's own, None for none."""

    number: int
    protocol: str
    units: list[str]
    program: str
    unit: str | None


class Unreachable(BaseModel, frozen=True):
    """A place on another host where nobody answers, not even by a refusal."""

    address: str
    port: int
    error: str


class OtherAddress(BaseModel, frozen=True):
    """A name of the cluster with an address that is not the wanted one."""

    name: str
    address: str
    wanted: str


class Preconditions(BaseModel, frozen=True):
    """One host before a run.

    `taken` are system directories that look like a filestore of ours; `exported` and `mounted` are the paths in our own
    files. `port` (of the database server), `node_port` (where a node looks for it) and `server_name` are what the
    services were set up with; `memory` is in MB, 0 if not known. `names` are in /etc/hosts outside our block, and
    `names_rewritten_by` is the file that has cloud-init write that file anew.
    """

    directory: Directory | None = None
    taken: list[str] = []
    exported: list[str] = []
    mounted: str | None = None
    port: int | None = None
    node_port: int | None = None
    server_name: str | None = None
    memory: int = 0
    taken_ports: list[TakenPort] = []
    unreachable: list[Unreachable] = []
    names: list[OtherAddress] = []
    names_rewritten_by: str | None = None


class HostPreconditions(JsonFact[Preconditions]):
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
        ports: Sequence[Mapping[str, Any]] = (),
        needed: Sequence[Mapping[str, Any]] = (),
        names: Mapping[str, str] | None = None,
    ) -> Program:
        """Ask for the directory `filestore` ("" where it is not served), for the port in the file `configuration`, for
        what a node's files `configdb` and `system` say, and for the directories in `shared` and in and below `trees`
        that belong to `user`.

        Besides, for who else has one of `ports`, where nobody answers on the ways in `needed`, and whether `names`
        have other addresses here.
        """
        files = {"configuration": configuration, "configdb": configdb, "system": system}
        network = {"ports": list(ports), "needed": list(needed), "names": dict(names or {})}
        return Program(
            "preconditions_state",
            {"filestore": filestore, "user": user, **files, "shared": shared, "trees": trees, **network},
        )

    def parse(self, document: dict[str, Any]) -> Preconditions:
        """Return the typed form."""
        return Preconditions.model_validate(document)
