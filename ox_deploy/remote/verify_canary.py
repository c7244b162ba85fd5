"""Let a new database travel from the master to its slaves: one step of it.

The master goes through `create` and `drop`, at the same time its slaves through `see` and `gone`. No statement
touches another database. A master that dies in between has its systemd drop the database.
"""

import shutil
import time

# How long the master waits until its slaves look, and a slave until it gives up.
SETTLE_SECONDS = 1
PATIENCE_SECONDS = 10
# A backup may hold locks; we do not queue behind it for long.
LOCK_SECONDS = 5
UNKNOWN = {1049, 1146}


def verify_canary(job):
    """Go through a step."""
    return attempt({"create": create, "see": see, "drop": drop, "gone": gone}[job["step"]], job)


def database_of(job):
    """Return the name of the database, which no other one can have."""
    return "ox_verify_" + job["run"]


def unit_of(job):
    """Return the name of the systemd unit that drops it in any case."""
    return "ox-verify-{}-database".format(job["run"])


def drop_statement(job):
    """Return what removes it."""
    return "DROP DATABASE IF EXISTS `{}`".format(database_of(job))


def client(job):
    """Return the command that drops it without this program."""
    program = shutil.which("mariadb") or shutil.which("mysql")
    if program is None:
        raise RuntimeError("there is no command `mariadb` or `mysql`")
    options = ["--defaults-file=" + job["option_file"]] if job["option_file"] else ["--no-defaults", "--user=root"]
    return [program, *options, "--socket=" + SOCKET, "--execute=" + drop_statement(job)]


def look_again(session, job):
    """Stop unless this run still has the lease and this is a master: on a slave our rows would be its own."""
    lease = read_lease()
    if job["ticket"] and [lease.get("number"), lease.get("run")] != list(map(str, job["ticket"])):
        raise RuntimeError("this run has lost the lease of the cluster; nothing was written; run again")
    if rows(session, "SELECT @@GLOBAL.read_only AS value")[0]["value"]:
        raise RuntimeError("this server is read-only, so it is not the master; nothing was written")


def create(job):
    """Make the database, wait until the slaves look for it, and write the row."""
    with connect(job["option_file"]) as session, session.cursor() as cursor:
        look_again(session, job)
        guard(unit_of(job), client(job))
        cursor.execute("SET SESSION lock_wait_timeout = {}".format(LOCK_SECONDS))
        cursor.execute("CREATE DATABASE `{}`".format(database_of(job)))
        cursor.execute("CREATE TABLE `{}`.canary (written DATETIME(6) NOT NULL)".format(database_of(job)))
        time.sleep(SETTLE_SECONDS)
        # As a value: a function might be computed again on the slave.
        now = rows(session, "SELECT UTC_TIMESTAMP(6) AS now")[0]["now"]
        cursor.execute("INSERT INTO `{}`.canary VALUES (%s)".format(database_of(job)), [now])
    return {}


def see(job):
    """Wait for the row; return how old it was when it was seen first, or None."""
    with connect(job["option_file"]) as session:
        return {"age": wait_for(lambda: age_of(session, job))}


def age_of(session, job):
    """Return the age of the row in seconds, or None if it is not here yet."""
    query = "SELECT TIMESTAMPDIFF(MICROSECOND, written, UTC_TIMESTAMP(6)) AS age FROM `{}`.canary"
    try:
        found = rows(session, query.format(database_of(job)))
    except Exception as error:
        if error.args and error.args[0] in UNKNOWN:
            return None
        raise
    return found[0]["age"] / 1000000 if found else None


def drop(job):
    """Drop the database, so that nobody else has to."""
    with connect(job["option_file"]) as session, session.cursor() as cursor:
        look_again(session, job)
        cursor.execute("SET SESSION lock_wait_timeout = {}".format(LOCK_SECONDS))
        cursor.execute(drop_statement(job))
    release(unit_of(job))
    return {}


def gone(job):
    """Wait until the database is gone; tell whether it is."""
    with connect(job["option_file"]) as session:
        return {"gone": wait_for(lambda: None if is_there(session, job) else True) is not None}


def is_there(session, job):
    """Tell whether this server has the database."""
    query = "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
    return bool(rows(session, query, [database_of(job)]))


def wait_for(look):
    """Look until there is something to see, or the time is over; return what was seen last."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        seen = look()
        if seen is not None or time.monotonic() > deadline:
            return seen
        time.sleep(0.02)
