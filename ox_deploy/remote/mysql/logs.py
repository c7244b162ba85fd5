"""The names of a server's logs: where it keeps them already, that is how they are called.

Under other names a replica does not find its place again (error 1201), and its source begins to count anew.
"""

from __future__ import annotations

import os
import re

from ox_deploy.mysql.dialects import LOGS
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.mysql.session import dialect


def keep_names(session: Session, files: list[Document]) -> None:
    """Put the names that are in use into the file that has them, if it is among those to be written."""
    for file in files:
        if file["path"] in LOGS.values() and file["content"]:
            for option, value in names_in_use(session).items():
                file["content"] = with_option(file["content"], option, value)


def names_in_use(session: Session) -> dict[str, str]:
    """Return the options that name the binary log, if one is written, and the relay log, if there may be one."""
    wanted = ("log_bin", "log_bin_basename", "log_bin_index", "relay_log", "relay_log_basename", "relay_log_index")
    listed = rows(session, "SHOW GLOBAL VARIABLES WHERE Variable_name IN %s", [wanted])
    found = {row["Variable_name"]: row["Value"] or "" for row in listed}
    names = {}
    if found.get("log_bin") == "ON":
        names["log_bin"] = found["log_bin_basename"]
        names["log_bin_index"] = found.get("log_bin_index", "")
    connections = rows(session, dialect(session)["show_connections"])
    if connections or found.get("relay_log"):
        shown = found.get("relay_log_basename") or found.get("relay_log", "")
        names["relay_log"] = shown or relay_log_of(connections[0])
        names["relay_log_index"] = found.get("relay_log_index", "")
    return {option: value for option, value in names.items() if value and not is_usual(option, value, names)}


def relay_log_of(connection: Document) -> str:
    """Return the name that a server gave its relay log by itself; MariaDB shows it in the names of the files only."""
    name = re.sub(r"\.\d+$", "", os.path.basename(connection.get("Relay_Log_File") or ""))
    return name.removesuffix("-" + (connection.get("Connection_name") or "").lower()) if name else ""


def is_usual(option: str, value: str, names: dict[str, str]) -> bool:
    """Tell whether an index has the name that the server gives it by itself."""
    return option.endswith("_index") and value == names[option.removesuffix("_index")] + ".index"


def with_option(text: str, option: str, value: str) -> str:
    """Return a server's file with another value of an option; one that means the same stays as it is."""
    line = re.search(rf"^{option} = (.*)$", text, re.MULTILINE)
    if line is None:
        return f"{text}{option} = {value}\n"
    same = re.sub(r"\.[^./]*$", "", line[1]) == value
    return text if same else text.replace(line[0], f"{option} = {value}")
