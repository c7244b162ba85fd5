"""What the running lab is like, as the other parts and the inventories read it: the folder `.lab`.

The environment variable OXLAB names another lab than the usual one, which has its own folder, containers and network.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
USUAL = "oxlab"
NAME = os.environ.get("OXLAB") or USUAL
if not re.fullmatch(r"[a-z][a-z0-9-]*", NAME):
    sys.exit("OXLAB is no name of a lab: it has a letter, then letters, digits and hyphens.")
TOP = ROOT / ".lab"
FOLDER = TOP if NAME == USUAL else TOP / NAME
STATE_FILE = FOLDER / "state.json"
SSH_KEY = FOLDER / "ssh_key"
KNOWN_HOSTS = FOLDER / "known_hosts"
REPO_CREDENTIALS = FOLDER / "repo_credentials.json"
REPO_KEY = FOLDER / "open-xchange.asc"
TLS_CERTIFICATE = FOLDER / "groupware.oxlab.crt"
TLS_KEY = FOLDER / "groupware.oxlab.key"
SECRETS = FOLDER / "secrets.toml"

WEB_NAME = "groupware.oxlab"
OTHER_WEB_NAME = "mail.oxlab"
REPO_NAME = "repo.oxlab"


class LabDown(Exception):
    """The lab is needed and not up."""


@dataclass(frozen=True)
class Node:
    """A host of the lab. `role` is its inventory group; a stranger has a role that is no group."""

    name: str
    role: str
    address: str
    container: str


@dataclass(frozen=True)
class State:
    nodes: dict[str, Node]
    network: str
    database: str
    repo_address: str | None = None

    @property
    def database_server(self) -> str:
        """The product without its version."""
        return self.database.partition("-")[0]

    def with_role(self, role: str) -> list[Node]:
        return [node for node in self.nodes.values() if node.role == role]


def load() -> State:
    """The lab that is up."""
    try:
        document = json.loads(STATE_FILE.read_text())
    except FileNotFoundError:
        raise LabDown("The lab is not up: run `python -m tests.lab up` first.") from None
    nodes = {name: Node(**node) for name, node in document["nodes"].items()}
    return State(**{**document, "nodes": nodes})


def save(state: State) -> None:
    write_private(STATE_FILE, json.dumps(asdict(state), indent=2) + "\n")


def make_folder() -> None:
    for folder in (TOP, FOLDER):
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step: a reader never sees half of it."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
