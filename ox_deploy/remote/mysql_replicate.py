"""Make this host's server replicate from its master, and wait until it has caught up."""

import time

# Access denied, unknown position, same server id, refused certificate: waiting does not help.
HOPELESS = (1045, 1236, 1593, 2026)
REFUSED_CERTIFICATE = 2026
# A master that cannot be reached for so long is not just restarting.
CONNECT_SECONDS = 75


CLAUSES = {
    "user": "MASTER_USER",
    "password": "MASTER_PASSWORD",
    "host": "MASTER_HOST",
    "port": "MASTER_PORT",
    "file": "MASTER_LOG_FILE",
    "position": "MASTER_LOG_POS",
}


def change_master(cursor, source):
    """Point the replica at its master; what is not given stays, the position too. Its threads have to stand still.

    `use_gtid` is what MASTER_USE_GTID should be. `gtid_slave_pos` is where a server begins that did not replicate. `ca`
    is the file with the certificates of which the master has to show one, "" for a connection that is not encrypted.
    `semi_synchronous` lets the replica acknowledge what it receives.
    """
    if source.get("gtid_slave_pos") is not None:
        cursor.execute("SET GLOBAL gtid_slave_pos = %s", [source["gtid_slave_pos"]])
    given = [key for key in CLAUSES if source.get(key) is not None]
    clauses = [CLAUSES[key] + "=%s" for key in given]
    if source.get("use_gtid"):
        clauses.append("MASTER_USE_GTID=" + source["use_gtid"])
    values = [source[key] for key in given]
    if source.get("ca") is not None:
        clauses += ["MASTER_SSL=%s", "MASTER_SSL_CA=%s", "MASTER_SSL_VERIFY_SERVER_CERT=%s"]
        values += [int(bool(source["ca"])), source["ca"], int(bool(source["ca"]))]
    if clauses:
        cursor.execute("CHANGE MASTER TO " + ", ".join(clauses), values)
    if source.get("semi_synchronous"):
        # The thread that reads from the master looks at it when it starts. Somebody may have changed it, and on a
        # former master it is off.
        cursor.execute("SET GLOBAL rpl_semi_sync_slave_enabled = 1")


def status_of(cursor):
    """Return the replica's status."""
    cursor.execute("SHOW SLAVE STATUS")
    return cursor.fetchone()


def wait_until_caught_up(cursor, target, seconds):
    """Wait until all that the master had written before this run is here."""
    deadline = time.monotonic() + seconds
    patience = time.monotonic() + CONNECT_SECONDS
    while True:
        status = status_of(cursor)
        if status["Slave_SQL_Running"] != "Yes":
            error, number = without_statement(status["Last_SQL_Error"]), status["Last_SQL_Errno"]
            fail("the replica's SQL thread stopped: {} (error {})".format(error, number))
        if status["Slave_IO_Running"] == "Yes" and reached(cursor, target):
            return
        if status["Slave_IO_Running"] == "Yes":
            patience = time.monotonic() + CONNECT_SECONDS
        elif time.monotonic() > patience:
            fail(why_not(status, target, CONNECT_SECONDS))
        if status["Last_IO_Errno"] in HOPELESS or time.monotonic() > deadline:
            fail(why_not(status, target, seconds))
        time.sleep(0.1)


def reached(cursor, target):
    """Tell whether the position of the master is reached; waits a second for it."""
    if target.get("gtid"):
        cursor.execute("SELECT MASTER_GTID_WAIT(%s, 1) AS waited", [target["gtid"]])
    else:
        cursor.execute("SELECT MASTER_POS_WAIT(%s, %s, 1) AS waited", [target["file"], target["position"]])
    waited = cursor.fetchone()["waited"]
    return waited is not None and waited >= 0


def why_not(status, target, seconds):
    """Say why the replica did not catch up, with the server's own error if there is one."""
    if status["Last_IO_Error"]:
        text = "the replica cannot read from its master: {Last_IO_Error} (error {Last_IO_Errno})"
        if status["Last_IO_Errno"] == REFUSED_CERTIFICATE:
            text += (
                "; the master shows no certificate for {Master_Host} that is in {Master_SSL_CA_File} or issued by it"
            )
        return text.format(**status)
    return (
        "the replica did not reach {}:{} within {} seconds, it is at {Relay_Master_Log_File}:"
        "{Exec_Master_Log_Pos}; run again when it has caught up".format(
            target["file"], target["position"], seconds, **status
        )
    )


def check_databases(cursor, expected):
    """A binary log that did not hold everything would have left a hole; never call that done."""
    cursor.execute("SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")
    missing = sorted(set(expected) - {row["name"] for row in cursor.fetchall()})
    if missing:
        fail("the replica caught up but lacks the databases {}; it has to be seeded".format(", ".join(missing)))


def mysql_replicate(job):
    """Do all of it."""
    with connect(job["option_file"]) as session, session.cursor() as cursor:
        if job["source"]:
            cursor.execute("STOP SLAVE")
            cursor.execute("SET GLOBAL read_only = 1")
            change_master(cursor, job["source"])
        else:
            # It may be waiting for its next attempt. In this order: once both threads stand still, a start by GTID
            # throws away what was received.
            cursor.execute("START SLAVE SQL_THREAD")
            cursor.execute("STOP SLAVE IO_THREAD")
        cursor.execute("START SLAVE")
        wait_until_caught_up(cursor, job["target"], job["seconds"])
        check_databases(cursor, job["databases"])
