"""Print what a MySQL or MariaDB server on this host is like, asked in one session over its own socket."""

from __future__ import annotations

import os
import re
import shutil
import struct

from ox_deploy.mysql.dialects import CONFIGURATIONS, FENCES
from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.fingerprints import fingerprint
from ox_deploy.remote.common.once import once
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.master_slaves.replication.state import FILTERS, filters_in, marks, replication_of
from ox_deploy.remote.mysql.defaults import NAMES as DEFAULTS
from ox_deploy.remote.mysql.defaults import defaults_in, defaults_of_new
from ox_deploy.remote.mysql.options import MEANT, Origins, differences, settings_in
from ox_deploy.remote.mysql.session import connect, dialect, user_databases

VARIABLES = (
    "server_id",
    "log_bin",
    "read_only",
    "datadir",
    "log_bin_basename",
    "port",
    "ssl_cert",
    "require_secure_transport",
)
ACCOUNT_COLUMNS = (
    "User",
    "Host",
    "plugin",
    "authentication_string",
    "ssl_type",
    "password_expired",
    "account_locked",
)
# The part of MySQL's stored passwords before the digest, `$A$005$` and twenty characters.
SALTED = 27
# Answered beside the other variables.
GTIDS = ("gtid_state", "gtid_binlog", "gtid_slave", "gtid_purged")


def open_session(option_file: str | None) -> tuple[Session, None] | tuple[None, Document]:
    """Return a session, or the state that explains why there is none."""
    if not (shutil.which("mariadbd") or shutil.which("mysqld")):
        return None, {"state": "not installed"}
    try:
        return connect(option_file), None
    except ImportError:
        return None, {"state": "no driver", "error": "the package python3-pymysql is missing"}
    except Exception as error:
        code = error.args[0] if error.args else 0
        state = "no rights" if code in (1045, 1698) else "not running"
        return None, {"state": state, "error": str(error)}


def our_files(session: Session) -> list[str]:
    """Return the files with our settings for this server."""
    server = dialect(session)["server"]
    return [CONFIGURATIONS[server], FENCES[server]]


def variables_of(session: Session) -> tuple[Document, Document]:
    """Return the variables that the operations compare, by the names that we use, and all of these and of our files."""
    names = {name: name for name in VARIABLES} | dialect(session)["variables"]
    more = ("pid_file", "version", dialect(session)["parallel"])
    wanted = {*names.values(), *settings_in(our_files(session)), *MEANT, *FILTERS, *DEFAULTS, *more}
    listed = rows(session, "SHOW GLOBAL VARIABLES WHERE Variable_name IN %s", [sorted(wanted)])
    values = {row["Variable_name"]: row["Value"] for row in listed}
    return {name: values[its] for name, its in names.items() if its in values}, values


def skips_grants(session: Session) -> bool:
    """Tell whether a server runs without accounts: it refuses to show them then."""
    try:
        rows(session, "SHOW GRANTS")
    except Exception as error:
        return error.args[:1] == (1290,)
    return False


def parse_grant(text: str) -> Document:
    """Return one line of SHOW GRANTS as data, without the password hash that it may hold."""
    match = re.match(r"GRANT (?P<what>.+?) ON (?P<on>\S+) TO ", text)
    if not match:
        return {"on": "", "privileges": [text.split(" TO ")[0]], "grant_option": False}
    names = re.split(r", (?![^(]*\))", match["what"])
    # A proxy is for an account, not on an object.
    is_proxy = match["what"] == "PROXY"
    return {
        "on": match["on"] if is_proxy else match["on"].replace("`", ""),
        "privileges": sorted(name for name in names if name != "USAGE"),
        "grant_option": " WITH GRANT OPTION" in text[match.end() :],
    }


def accounts_of(session: Session, users: list[str]) -> list[Document]:
    """Return the accounts of these users with their rights and a fingerprint of the stored hash."""
    names, accounts = dialect(session), []
    columns = ", ".join([*ACCOUNT_COLUMNS, *names["limits"].values()])
    query = names["accounts"].format(columns=columns)
    for row in rows(session, query, [users]) if users else []:
        shown = rows(session, "SHOW GRANTS FOR %s@%s", [row["User"], row["Host"]])
        stored = row["authentication_string"] or ""
        accounts.append(
            {
                "user": row["User"],
                "host": row["Host"],
                "plugin": row["plugin"],
                "password": fingerprint(stored),
                "salted": stored[:SALTED] if stored.startswith("$A$") else "",
                "tls": row["ssl_type"],
                "locked": str(row.get("account_locked")) in ("Y", "1", "true"),
                "expired": row.get("password_expired") == "Y",
                "limits": sorted(word for word, column in names["limits"].items() if row.get(column)),
                "grants": merged([parse_grant(next(iter(grant.values()))) for grant in shown]),
            }
        )
    return accounts


def merged(grants: list[Document]) -> list[Document]:
    """Return the rights on one object as one grant; MySQL lists those on all in two."""
    found: dict[object, Document] = {}
    for number, grant in enumerate(grants):
        # What is not understood is no right on an object.
        known = found.setdefault(grant["on"] or number, grant)
        if known is not grant:
            known["privileges"] = sorted({*known["privileges"], *grant["privileges"]})
            known["grant_option"] = known["grant_option"] or grant["grant_option"]
    return list(found.values())


def binary_log_of(session: Session, variables: Document, databases: list[str], purged: str | None) -> Document | None:
    """Return where the binary log stands, and where it begins if it holds all that was ever written."""
    status = rows(session, dialect(session)["show_log"])
    if not status:
        return None
    files = [row["Log_name"] for row in rows(session, "SHOW BINARY LOGS")]
    first = files[0]
    before = gtids_before(session, first) if purged is None else purged
    return {
        "file": status[0]["File"],
        "position": status[0]["Position"],
        "first_file": first,
        "complete": not before and is_complete(variables, first, databases),
        "files": files,
        "before": before,
        "filters": filters_in(status[0]),
    }


def gtids_before(session: Session, first: str) -> str:
    """Return the last transactions that were written before a file of MariaDB's binary log, as `0-1-345,0-2-7`."""
    events = rows(session, "SHOW BINLOG EVENTS IN %s LIMIT 3", [first])
    lists = [event["Info"] for event in events if event["Event_type"] == "Gtid_list"]
    return lists[0].strip("[]") if lists else ""


def is_complete(variables: Document, first: str, databases: list[str]) -> bool:
    """Tell whether the log holds everything since the server was new: none purged, no database older."""
    if not first.endswith(".000001"):
        return False
    begun = log_begin(os.path.join(os.path.dirname(variables["log_bin_basename"]), first))
    # Whole seconds, as in the log's header.
    return all(made_at(os.path.join(variables["datadir"], name)) >= begun for name in databases)


def made_at(folder: str) -> int:
    """Return when a database was made, in whole seconds since 1970; 0 if nobody knows, as if it were old."""
    options = os.path.join(folder, "db.opt")
    if os.path.exists(options):
        return int(os.path.getmtime(options))
    # MySQL has no such file, but its directories are made with their databases.
    made = run(["stat", "--format=%W", folder]).stdout.strip()
    return int(made) if made.isdigit() else 0


def log_begin(path: str) -> int:
    """Return when a binary log file was begun, from its first event's header, in seconds since 1970."""
    with open(path, "rb") as file:
        begun: int
        (begun,) = struct.unpack("<I", file.read(8)[4:])
    return begun


def free_bytes(variables: Document) -> int:
    """Return what can still be written where the data and the binary log are."""
    folders = [variables["datadir"], os.path.dirname(variables.get("log_bin_basename") or "") or variables["datadir"]]
    found = [os.statvfs(folder) for folder in folders]
    return min(one.f_bavail * one.f_frsize for one in found)


def mysql_state(wanted: Document) -> Document:
    """Return all of it."""
    session, problem = open_session(wanted["option_file"])
    on_disk = marks()
    if session is None:
        new = {"defaults": defaults_of_new()} if problem and problem["state"] == "not running" else {}
        return {**(problem or {}), **new, **on_disk}
    with session:
        # Several questions differ in their users only.
        server = once(f"database server {wanted['option_file']}", lambda: server_state(session))
        accounts = {"accounts": accounts_of(session, wanted["users"])} if server["state"] == "running" else {}
        return {**server, **accounts, **on_disk}


def server_state(session: Session) -> Document:
    """Return what a server says that lets us in."""
    variables, values = variables_of(session)
    if skips_grants(session):
        place = Origins(values).place("skip_grant_tables")
        return {"state": "no accounts", "error": f"{place} sets it" if place else ""}
    return running(session, variables, values)


def running(session: Session, variables: Document, values: Document) -> Document:
    """Return what a server says that runs, without its accounts."""
    gtids = {name: (variables.pop(name, None) or "").replace("\n", "") for name in GTIDS if name in variables}
    databases = user_databases(session)
    log = binary_log_of(session, variables, databases, gtids.pop("gtid_purged", None))
    replication = replication_of(session, variables, values, log)
    asked = [
        *replication["filters"],
        *(["require_secure_transport"] if variables.get("require_secure_transport") == "ON" else []),
    ]
    origins = Origins(values) if asked else None
    version = rows(session, "SELECT VERSION() AS version")[0]["version"]
    return {
        "state": "running",
        "version": version,
        "defaults": defaults_in(version, values),
        "variables": variables,
        "databases": databases,
        "binary_log": log,
        **replication,
        "set_in": {name: origins.place(name) for name in asked if origins},
        "differences": differences(values, our_files(session)),
        "gtid_state": gtids.pop("gtid_state", ""),
        "gtid": {name.removeprefix("gtid_"): text for name, text in gtids.items()},
        "free": free_bytes(variables),
    }
