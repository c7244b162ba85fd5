"""Seed this replica with a dump of its master, which flows straight from one server into the other."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from typing import IO

from ox_deploy.remote.common.ending import Failure, fail
from ox_deploy.remote.common.sql import FIXED_MODE, rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.master_slaves.replication.start import run_replica
from ox_deploy.remote.master_slaves.role.check import check_role
from ox_deploy.remote.master_slaves.seed.accounts import AccountStatement, identifier, read_accounts, write_accounts
from ox_deploy.remote.master_slaves.seed.common import (
    Progress,
    complaints_of,
    no_data_came,
    pipe_of,
    pour,
    private,
    said_by,
    start,
    work,
)
from ox_deploy.remote.master_slaves.seed.master import gtid_state_of_master, login_at_master, wait_for_calm
from ox_deploy.remote.master_slaves.seed.slave import (
    check_logins,
    check_room,
    clean_up,
    data_directory,
    disable_events,
    finish,
    marked,
    note,
    put_back_settings,
    recover,
    set_all,
)
from ox_deploy.remote.mysql.session import SOCKET, SYSTEM_DATABASES, connect, dialect, user_databases

# Every snapshot's position stands near the beginning of a dump.
HEADER_BYTES = 65536
POSITION = re.compile(
    rb"CHANGE (?:MASTER|REPLICATION SOURCE) TO (?:MASTER|SOURCE)_LOG_FILE='([^']+)', (?:MASTER|SOURCE)_LOG_POS=(\d+);"
)
# Of MySQL, in a comment before the position.
PURGED = re.compile(rb"GTID_PURGED='\+?([^']*)'")
LOCK_TIMEOUT = "(1205)"
# While the dump is read: values may be as long as the master allows them to be twice, and what it has is trusted.
FOR_THE_DUMP = {"max_allowed_packet": 1 << 30, "log_bin_trust_function_creators": 1}


def seed_logical(job: Document) -> None:
    """Do all of it."""
    work(seed, job)


def seed(job: Document, progress: Progress, folder: str) -> str:
    """Go through the steps; returns what came of it in words."""
    progress.stage("checks")
    recover(job)
    check_logins(job)
    with connect(job["option_file"]) as session:
        check_role(session, job.get("seen"))
        clean_up(session)
        datadir = data_directory(session)
        check_room(datadir, job["bytes"], job["freed"])
        with login_at_master(job["master"]) as master:
            wait_for_calm(master)
        with marked(datadir) as touched:
            progress.stage("clears")
            touched()
            clear(session)
            remove_empty(datadir)
            progress.stage("copies")
            with settings(session, for_the_dump(session)):
                position, accounts = copy(session, job, progress, folder)
                write_accounts(session, accounts)
                disable_events(session)
            return finish(session, job, position, progress)


def clear(session: Session) -> None:
    """Drop what is here, and stop replication."""
    with session.cursor() as cursor:
        # This session waits for the whole dump.
        cursor.execute("SET SESSION wait_timeout = 2147483")
        cursor.execute("SET sql_log_bin = 0")
        cursor.execute("SET foreign_key_checks = 0")
        run_replica(session, "STOP {replica}", "RESET {replica} ALL")
        for name in user_databases(session):
            cursor.execute("DROP DATABASE " + identifier(name))


def remove_empty(datadir: str) -> None:
    """Remove the directories that a clone which was ended leaves, once there is no database any more."""
    for name in os.listdir(datadir):
        # What has other characters belongs to no database, such as lost+found.
        if name not in SYSTEM_DATABASES and re.fullmatch(r"[\w$@]+", name):
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(datadir, name))


def copy(session: Session, job: Document, progress: Progress, folder: str) -> tuple[Document, list[AccountStatement]]:
    """Copy the databases; returns the position of the snapshot, and the accounts of that moment."""
    names = dialect(session)
    with login_at_master(job["master"]) as master:
        before = outline(master, job)
        if not before[0]:
            fail("there is nothing on the master, so nothing was seeded")
        state = gtid_state_of_master(master)
        wait_for_calm(master)
        dump = start(dump_command(job, folder, names, before[0]), folder, stdout=subprocess.PIPE)
        load = start(load_command(job, names), folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        with progress.moving(dump, load):
            header = read_header(pipe_of(dump.stdout))
            position = position_in(header, folder, names)
            gtid = gtid_at(master, position, header)
            if outline(master, job) != before:
                fail("a database or an account was made, changed or dropped on the master meanwhile; seed again")
            progress.count(len(header))
            let_flow(header, dump, load, progress, folder, names)
    return {**position, "gtid": gtid, "before": state}, before[1]


def gtid_at(master: Session, position: Document, header: bytes) -> str:
    """Return the GTIDs of a dump's snapshot."""
    if dialect(master)["server"] == "MariaDB":
        query = "SELECT BINLOG_GTID_POS(%s, %s) AS gtid"
        gtid: str = rows(master, query, [position["file"], position["position"]])[0]["gtid"]
        return gtid
    found = PURGED.search(header)
    if not found:
        fail("the dump of the master has no GTIDs; deploy the master, which sets `gtid_mode`, and seed again")
    return found[1].decode().replace("\n", "")


def outline(master: Session, job: Document) -> tuple[list[str], list[AccountStatement]]:
    """Return what is not part of a snapshot: it has to be the same before and after it is taken."""
    return user_databases(master), read_accounts(master, job["master"]["user"])


def for_the_dump(session: Session) -> Document:
    """Return the server's settings for the time of the dump; no event runs on data that is still coming."""
    scheduler = rows(session, "SELECT @@GLOBAL.event_scheduler AS value")[0]["value"]
    return {**FOR_THE_DUMP, **({"event_scheduler": "OFF"} if scheduler == "ON" else {})}


@contextlib.contextmanager
def settings(session: Session, wanted: Document) -> Iterator[None]:
    """Set the server's settings for a while."""
    note({name: rows(session, f"SELECT @@GLOBAL.{name} AS value")[0]["value"] for name in wanted})
    set_all(session, wanted)
    try:
        yield
    except (Exception, Failure):
        # The server may be gone; what is told is why.
        with contextlib.suppress(Exception):
            put_back_settings(session)
        raise
    put_back_settings(session)


def dump_command(job: Document, folder: str, names: Document, databases: list[str]) -> list[str]:
    """Return the command that reads the master; the password is in a file of root's."""
    master = job["master"]
    text = "[client]\nhost={host}\nport={port}\nuser={user}\npassword={password}\n".format(**master)
    if master["ca"]:
        text += "ssl-ca={}\n".format(master["ca"])
    text += names["verify_server"][bool(master["ca"])] + "\n"
    options = private(folder, "master.cnf", text)
    return [names["dump"], "--defaults-file=" + options, *names["dump_options"], "--databases", "--", *databases]


def load_command(job: Document, names: Document) -> list[str]:
    """Return the command that writes here, and not to the binary log."""
    login = ["--defaults-file=" + job["option_file"]] if job["option_file"] else ["--no-defaults", "--user=root"]
    options = ["--socket=" + SOCKET, "--max-allowed-packet=1G", f"--init-command={FIXED_MODE}, sql_log_bin = 0"]
    return [names["client"], *login, *options]


def read_header(source: IO[bytes]) -> bytes:
    """Return the first bytes of a dump, to behind the position."""
    header = b""
    while len(header) < HEADER_BYTES and not POSITION.search(header):
        read_now = os.read(source.fileno(), 4096)
        if not read_now:
            break
        header += read_now
    return header


def position_in(header: bytes, folder: str, names: Document) -> Document:
    """Return the position that a dump begins with."""
    found = POSITION.search(header)
    if not found:
        said = said_by(names["dump"], folder)
        if LOCK_TIMEOUT in said:
            said += "; a long statement runs there: wait until it ends (`SHOW PROCESSLIST`), and seed again"
        fail("the master cannot be dumped: " + said)
    return {"file": found[1].decode(), "position": int(found[2])}


def let_flow(
    header: bytes,
    dump: subprocess.Popen[bytes],
    load: subprocess.Popen[bytes],
    progress: Progress,
    folder: str,
    names: Document,
) -> None:
    """Move the dump into this server."""
    source, sink = pipe_of(dump.stdout), pipe_of(load.stdin)
    try:
        # What was read already goes first.
        sink.write(header)
        sink.flush()
        pour(source, sink, progress)
        if dump.wait():
            load.kill()
        sink.close()
    except BrokenPipeError:
        pass
    if progress.stalled:
        fail(no_data_came())
    if dump.poll():
        fail("the dump of the master failed ({}); seed again".format(said_by(names["dump"], folder)))
    if load.wait() or dump.wait():
        fail("this server refused the dump ({}); seed again".format(said_by(names["client"], folder)))
    complaints = complaints_of(names["dump"], folder)
    if complaints:
        fail(f"the dump of the master finished, but reported errors ({complaints}); fix them, and seed again")
