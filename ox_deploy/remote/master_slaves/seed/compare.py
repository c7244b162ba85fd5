"""Compare a replica with its master while the master is written to.

The master's side is read in a snapshot; the replica stops exactly where that was taken.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from ox_deploy.remote.common.ending import Failure, fail
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Cursor, Document, Session
from ox_deploy.remote.master_slaves.replication.start import run_replica
from ox_deploy.remote.master_slaves.replication.status import status_as_replica, without_statement
from ox_deploy.remote.master_slaves.seed.accounts import identifier
from ox_deploy.remote.master_slaves.seed.master import login_at_master, wait_for_calm
from ox_deploy.remote.mysql.session import dialect, user_databases

# How many tables are compared, up to which size with all of their rows, and how many rows at each end of larger ones.
SAMPLE = 20
WHOLE_BYTES = 8 << 20
END_ROWS = 1000
# How long each side may look.
COUNT_SECONDS = 30
ATTEMPTS = 3
REACH_SECONDS = 600
# How long all that write to a MySQL master may wait for a snapshot that has to wait itself, and how often that may be.
LOCK_SECONDS = 2
LOCK_ATTEMPTS = 30
LOCK_TIMEOUT_ERROR = 1205

# By schema and name; number of rows and checksum.
Table: TypeAlias = tuple[str, str]
Measured: TypeAlias = dict[Table, tuple[int, str]]

OBJECTS = {
    "database": "SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN %s",
    "table": "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME, ' (', TABLE_TYPE, ')') AS name"
    " FROM information_schema.TABLES WHERE TABLE_SCHEMA IN %s",
    "routine": "SELECT CONCAT(ROUTINE_SCHEMA, '.', ROUTINE_NAME, ' (', ROUTINE_TYPE, ')') AS name"
    " FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA IN %s",
    "trigger": "SELECT CONCAT(TRIGGER_SCHEMA, '.', TRIGGER_NAME) AS name"
    " FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA IN %s",
    "event": "SELECT CONCAT(EVENT_SCHEMA, '.', EVENT_NAME) AS name"
    " FROM information_schema.EVENTS WHERE EVENT_SCHEMA IN %s",
}


def compare(session: Session, job: Document) -> str:
    """Do it; several times, since a table may be made or altered on the master just then."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return compare_once(session, job)
        except (Exception, Failure):
            if attempt == ATTEMPTS:
                # Nobody should take it for a replica.
                run_replica(session, "STOP {replica}")
                raise
        run_replica(session, "START {replica}")
        time.sleep(5)


def compare_once(session: Session, job: Document) -> str:
    """Return in words what was compared; fail with what differs."""
    run_replica(session, "STOP {replica} SQL_THREAD")
    with login_at_master(job["master"]) as master:
        position = take_snapshot(master)
        wanted = objects_of(master)
        if not wanted:
            fail("there is nothing on the master, so nothing was seeded")
        sample = sample_of(master)
        # Both at the same time, each by the thread of its own session.
        with ThreadPoolExecutor(max_workers=1) as pool:
            at_master = pool.submit(measure_all, master, sample)
            go_to(session, position)
            found = objects_of(session)
            found_rows = measure_all(session, sample)
            wanted_rows = at_master.result()
    # For the others there was no time.
    compared = sorted(wanted_rows.keys() & found_rows.keys())
    differences = [*differing_objects(wanted, found), *differing_rows(compared, wanted_rows, found_rows)]
    if differences:
        fail("the replica differs from its master: " + "; ".join(differences[:5]))
    run_replica(session, "START {replica} SQL_THREAD")
    counted = sum(wanted_rows[table][0] for table in compared)
    tables = sum(name.startswith("table ") for name in wanted)
    text = "equal to the master: {} databases, {} tables; {} rows of {} tables compared"
    return text.format(sum(name.startswith("database ") for name in wanted), tables, counted, len(compared))


def take_snapshot(master: Session) -> Document:
    """Begin a transaction that sees one moment; return the position in the binary log of that moment."""
    with master.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if dialect(master)["server"] == "MySQL":
            return snapshot_under_lock(master, cursor)
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    status = {row["Variable_name"]: row["Value"] for row in rows(master, "SHOW STATUS LIKE 'binlog_snapshot_%'")}
    values = {name.lower(): value for name, value in status.items()}
    return {"file": values["binlog_snapshot_file"], "position": int(values["binlog_snapshot_position"])}


def snapshot_under_lock(master: Session, cursor: Cursor) -> Document:
    """Do that on MySQL, which does not tell the position of a snapshot: nothing may be committed in between."""
    lock_tables(master, cursor)
    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    (row,) = rows(master, dialect(master)["show_log"])
    # This ends no transaction.
    cursor.execute("UNLOCK TABLES")
    return {"file": row["File"], "position": row["Position"]}


def lock_tables(master: Session, cursor: Cursor) -> None:
    """Lock all tables; who writes waits as long as this waits, so that it is given up soon."""
    cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
    for _ in range(LOCK_ATTEMPTS):
        wait_for_calm(master)
        try:
            cursor.execute("FLUSH TABLES WITH READ LOCK")
            return
        except Exception as error:
            if error.args[0] != LOCK_TIMEOUT_ERROR:
                raise
        time.sleep(LOCK_SECONDS)
    fail("statements run for so long on the master that it cannot be compared; wait for them to end, and seed again")


def go_to(session: Session, position: Document) -> None:
    """Let the replica go on to exactly this position, and wait until it is there."""
    until = "START {replica} SQL_THREAD UNTIL {source}_LOG_FILE = %s, {source}_LOG_POS = %s"
    with session.cursor() as cursor:
        cursor.execute(until.format(**dialect(session)), [position["file"], position["position"]])
    deadline = time.monotonic() + REACH_SECONDS
    while True:
        status = status_as_replica(session)
        if status["Last_SQL_Errno"]:
            error = without_statement(status["Last_SQL_Error"])
            fail("the replica's SQL thread stopped: {} (error {Last_SQL_Errno})".format(error, **status))
        if status["Slave_SQL_Running"] == "No":
            return
        # Some versions only look when the next event comes, and on a master that is not written to none does.
        if is_at(status, position):
            run_replica(session, "STOP {replica} SQL_THREAD")
            return
        if time.monotonic() > deadline:
            fail("the replica did not reach {file}:{position}".format(**position))
        time.sleep(0.1)


def is_at(status: Document, position: Document) -> bool:
    """Tell whether a replica has executed all up to a position."""
    at = status["Relay_Master_Log_File"], status["Exec_Master_Log_Pos"]
    return at == (position["file"], position["position"])


def objects_of(session: Session) -> set[str]:
    """Return the names of all databases, tables, views, routines, triggers and events, with what they are."""
    names = user_databases(session)
    found = set()
    for kind, query in OBJECTS.items():
        found |= {"{} {}".format(kind, row["name"]) for row in rows(session, query, [names])} if names else set()
    return found


def sample_of(master: Session) -> dict[Table, str]:
    """Return the largest tables, each with what is selected of it."""
    query = (
        "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, DATA_LENGTH AS bytes FROM information_schema.TABLES"  # noqa: S608 - a constant
        f" WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA IN %s ORDER BY DATA_LENGTH DESC, s, t LIMIT {SAMPLE}"
    )
    names = user_databases(master)
    with master.cursor() as cursor:
        cursor.execute(dialect(master)["fresh_statistics"])
    largest = rows(master, query, [names]) if names else []
    return {(row["s"], row["t"]): selected(master, row["s"], row["t"], row["bytes"]) for row in largest}


def selected(master: Session, schema: str, table: str, size: int) -> str:
    """Return what is selected of a table: all rows, those at its ends, or only their number if it has no key."""
    name = f"{identifier(schema)}.{identifier(table)}"
    columns = columns_of(master, schema, table)
    if size <= WHOLE_BYTES:
        return all_rows(name, columns)
    key = key_of(master, schema, table)
    return rows_at_the_ends(name, columns, key) if key else "COUNT(*) AS number, 0 AS checksum FROM " + name


def columns_of(session: Session, schema: str, table: str) -> list[str]:
    """Return the names of a table's columns."""
    query = (
        "SELECT COLUMN_NAME AS name FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
    )
    return [row["name"] for row in rows(session, query, [schema, table])]


def key_of(session: Session, schema: str, table: str) -> list[str]:
    """Return the columns of a table's primary key."""
    query = (
        "SELECT COLUMN_NAME AS name FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
        " AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX"
    )
    return [row["name"] for row in rows(session, query, [schema, table])]


def measure_all(session: Session, sample: Mapping[Table, str]) -> Measured:
    """Return number of rows and checksum by table; without those for which no time was left."""
    names = dialect(session)
    with session.cursor() as cursor:
        # The same text for the same moment on both sides.
        cursor.execute("SET SESSION time_zone = '+00:00'")
    deadline = time.monotonic() + COUNT_SECONDS
    measured: Measured = {}
    for table, what in sample.items():
        left = max(deadline - time.monotonic(), 0.01)
        limited = names["limited"].format(seconds=left, milliseconds=left * 1000)
        try:
            (row,) = rows(session, limited + what)
        except Exception as error:
            if error.args[0] == names["no_time_left"]:
                continue
            raise
        measured[table] = (row["number"], str(row["checksum"]))
    return measured


def all_rows(name: str, columns: list[str]) -> str:
    """Return what is selected of a small table."""
    return f"COUNT(*) AS number, COALESCE(SUM({checksum_of(columns)}), 0) AS checksum FROM {name}"


def rows_at_the_ends(name: str, columns: list[str], key: list[str]) -> str:
    """Return what is selected of a large one: rows that were cut off, or came too late, are missing there."""
    ends = [
        "(SELECT {} AS row_checksum FROM {} ORDER BY {} LIMIT {})".format(  # noqa: S608 - quoted names
            checksum_of(columns), name, ", ".join(identifier(column) + direction for column in key), END_ROWS
        )
        for direction in ("", " DESC")
    ]
    text = "COUNT(*) AS number, COALESCE(SUM(row_checksum), 0) AS checksum FROM ({}) AS ends"
    return text.format(" UNION ALL ".join(ends))


def checksum_of(columns: list[str]) -> str:
    """Return the checksum of a row. Of its values, not of bytes on disk: old tables are stored in another way."""
    values = ", ".join(f"IFNULL(CRC32({identifier(column)}), '-')" for column in columns)
    return f"CRC32(CONCAT_WS(',', {values}))"


def differing_objects(wanted: set[str], found: set[str]) -> list[str]:
    """Say what one of the two lacks."""
    missing = ["it lacks the " + name for name in sorted(wanted - found)]
    return missing + ["only it has the " + name for name in sorted(found - wanted)]


def differing_rows(tables: list[Table], wanted: Measured, found: Measured) -> Iterator[str]:
    """Say which of these tables have other rows."""
    for schema, table in tables:
        (number, checksum), (there, its_checksum) = wanted[schema, table], found[schema, table]
        if there != number:
            yield f"{schema}.{table} has {there} rows instead of {number}"
        elif its_checksum != checksum:
            yield f"{schema}.{table} has other values"
