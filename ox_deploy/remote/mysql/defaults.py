"""What a server gives to databases and tables that do not say it themselves, also one that has not run yet."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.mysql.session import SYSTEM_DATABASES

# The last one is a map from character sets to collations; MariaDB has it from 11.2 on.
COLLATIONS = "character_set_collations"
NAMES = ("character_set_server", "collation_server", COLLATIONS)
# Who runs it only to have it list its options, and what it says of them.
SERVER, LIST = "mariadbd", ["--verbose", "--help"]
LINE = r"^({})[ \t]+(.*?)[ \t]*$".format("|".join(name.replace("_", "-") for name in (*NAMES, "datadir")))
NOTHING = "(No default value)"


def defaults_in(version: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return them with the server's version, as far as it has them; a map in its longest and sorted form."""
    found = {name: values[name] for name in NAMES if name in values}
    if COLLATIONS in found:
        found[COLLATIONS] = ",".join(sorted(map(in_full, filter(None, found[COLLATIONS].split(",")))))
    return {"version": version, **found}


def in_full(pair: str) -> str:
    """Return an entry of the map with the whole name of the collation."""
    charset, _, collation = pair.strip().partition("=")
    return f"{charset}={collation}" if collation.startswith(f"{charset}_") else f"{charset}={charset}_{collation}"


def defaults_of_new() -> dict[str, str]:
    """Return those of a MariaDB that has no data of its own yet, as its files say; {} of any other server."""
    try:
        said = run([SERVER, *LIST]).stdout
    except FileNotFoundError:
        return {}
    version = re.search(r"\bVer (\S+)", said)
    values = {name.replace("-", "_"): "" if value == NOTHING else value for name, value in re.findall(LINE, said, re.M)}
    is_new = "datadir" in values and not databases_in(values["datadir"])
    return defaults_in(version[1], values) if version and is_new else {}


def databases_in(folder: str) -> set[str]:
    """Return the directories of databases that are not the server's own."""
    try:
        found = {entry.name for entry in os.scandir(folder) if entry.is_dir()}
    except FileNotFoundError:
        return set()
    return {name for name in found - SYSTEM_DATABASES - {"lost+found"} if not name.startswith("#")}
