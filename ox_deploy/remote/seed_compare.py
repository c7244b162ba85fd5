"""Compare a slave with its master while the master is written to.

The master's side is read in a snapshot; the slave stops exactly where that was taken.
"""

# How many tables have their rows compared, up to which size with their values, and how long the master may count.
SAMPLE = 20
CHECKSUM_BYTES = 8 << 20
COUNT_SECONDS = 30
ATTEMPTS = 3
REACH_SECONDS = 600
NO_TIME_LEFT = 1969

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


def compare(session, job):
    """Do it; several times, since a table may be made or altered on the master just then."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return compare_once(session, job)
        except Exception:
            if attempt == ATTEMPTS:
                # Nobody should take it for a slave.
                with session.cursor() as cursor:
                    cursor.execute("STOP SLAVE")
                raise
        with session.cursor() as cursor:
            cursor.execute("START SLAVE")
        time.sleep(5)


def compare_once(session, job):
    """Return in words what was compared; fail with what differs."""
    with session.cursor() as cursor:
        cursor.execute("STOP SLAVE SQL_THREAD")
        with login_at_master(job["master"]) as master:
            position = take_snapshot(master)
            wanted = objects_of(master)
            sample = sample_of(master)
            wanted_rows = measure_all(master, sample, COUNT_SECONDS)
        go_to(session, cursor, position)
        found = objects_of(session)
        found_rows = measure_all(session, {table: sample[table] for table in wanted_rows})
        differences = [*differing_objects(wanted, found), *differing_rows(wanted_rows, found_rows)]
        if differences:
            fail("the slave is not equal to its master: " + "; ".join(differences[:5]))
        cursor.execute("START SLAVE SQL_THREAD")
    if not wanted:
        fail("there is nothing on the master, so nothing was seeded")
    counted = sum(number for number, _ in wanted_rows.values())
    tables = sum(name.startswith("table ") for name in wanted)
    text = "equal to the master: {} databases, {} tables; {} rows of {} tables compared"
    return text.format(sum(name.startswith("database ") for name in wanted), tables, counted, len(wanted_rows))


def take_snapshot(master):
    """Begin a transaction that sees one moment; return the position in the binary log of that moment."""
    with master.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    status = {row["Variable_name"]: row["Value"] for row in rows(master, "SHOW STATUS LIKE 'binlog_snapshot_%'")}
    values = {name.lower(): value for name, value in status.items()}
    return {"file": values["binlog_snapshot_file"], "position": int(values["binlog_snapshot_position"])}


def go_to(session, cursor, position):
    """Let the slave go on to exactly this position, and wait until it is there."""
    until = "START SLAVE SQL_THREAD UNTIL MASTER_LOG_FILE = %s, MASTER_LOG_POS = %s"
    cursor.execute(until, [position["file"], position["position"]])
    deadline = time.monotonic() + REACH_SECONDS
    while True:
        status = replica_status(session)
        if status["Last_SQL_Errno"]:
            fail("the replica's SQL thread stopped: {Last_SQL_Error} (error {Last_SQL_Errno})".format(**status))
        if status["Slave_SQL_Running"] == "No":
            return
        if time.monotonic() > deadline:
            fail("the replica did not reach {file}:{position}".format(**position))
        time.sleep(0.1)


def objects_of(session):
    """Return the names of all databases, tables, views, routines, triggers and events, with what they are."""
    names = user_databases(session)
    found = set()
    for kind, query in OBJECTS.items():
        found |= {"{} {}".format(kind, row["name"]) for row in rows(session, query, [names])} if names else set()
    return found


def sample_of(master):
    """Return the largest tables with their columns, None for one that is too large to look at its values."""
    query = (
        "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, DATA_LENGTH AS bytes FROM information_schema.TABLES"
        " WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA IN %s ORDER BY DATA_LENGTH DESC, s, t LIMIT {}"
    ).format(SAMPLE)
    names = user_databases(master)
    largest = rows(master, query, [names]) if names else []
    return {
        (row["s"], row["t"]): columns_of(master, row["s"], row["t"]) if row["bytes"] <= CHECKSUM_BYTES else None
        for row in largest
    }


def columns_of(session, schema, table):
    """Return the names of a table's columns."""
    query = (
        "SELECT COLUMN_NAME AS name FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
    )
    return [row["name"] for row in rows(session, query, [schema, table])]


def measure_all(session, sample, seconds=None):
    """Return number of rows and checksum by table; without those for which no time was left."""
    with session.cursor() as cursor:
        # The same text for the same moment on both sides.
        cursor.execute("SET SESSION time_zone = '+00:00'")
    deadline = time.monotonic() + seconds if seconds else None
    measured = {}
    for table, columns in sample.items():
        query = measuring(table, columns)
        if deadline:
            left = max(deadline - time.monotonic(), 0.01)
            query = "SET STATEMENT max_statement_time = {:.2f} FOR {}".format(left, query)
        try:
            (row,) = rows(session, query)
        except Exception as error:
            if error.args[0] == NO_TIME_LEFT:
                continue
            raise
        measured[table] = (row["number"], str(row["checksum"]))
    return measured


def measuring(table, columns):
    """Return the query for one table. Values, not bytes on disk: old tables are stored in another way."""
    name = "{}.{}".format(identifier(table[0]), identifier(table[1]))
    if columns is None:
        return "SELECT COUNT(*) AS number, 0 AS checksum FROM " + name
    values = ", ".join("IFNULL(CRC32({}), '-')".format(identifier(column)) for column in columns)
    return "SELECT COUNT(*) AS number, COALESCE(SUM(CRC32(CONCAT_WS(',', {}))), 0) AS checksum FROM {}".format(
        values, name
    )


def differing_objects(wanted, found):
    """Say what one of the two lacks."""
    missing = ["it lacks the " + name for name in sorted(wanted - found)]
    return missing + ["only it has the " + name for name in sorted(found - wanted)]


def differing_rows(wanted, found):
    """Say which tables have other rows."""
    for (schema, table), (number, checksum) in wanted.items():
        there, its_checksum = found[schema, table]
        if there != number:
            yield "{}.{} has {} rows instead of {}".format(schema, table, there, number)
        elif its_checksum != checksum:
            yield "{}.{} has other values".format(schema, table)
