"""Seed this slave with a dump of its master, which flows straight from one server into the other."""

import re

# Every snapshot's position stands near the beginning of a dump.
HEADER_BYTES = 65536
POSITION = re.compile(rb"CHANGE MASTER TO MASTER_LOG_FILE='([^']+)', MASTER_LOG_POS=(\d+);")
DUMP = [
    "--single-transaction",
    "--gtid",
    "--master-data=2",
    "--routines",
    "--events",
    "--triggers",
    "--hex-blob",
    "--dump-history",
    "--no-tablespaces",
    "--max-allowed-packet=1G",
]
# While the dump is read: values may be as long as the master allows them to be twice, and what it has is trusted.
FOR_THE_DUMP = {"max_allowed_packet": 1 << 30, "log_bin_trust_function_creators": 1}


def seed_logical(job):
    """Do all of it."""
    work(seed, job)


def seed(job, progress, folder):
    """Go through the steps; returns what came of it in words."""
    progress.stage("checks")
    recover()
    check_logins(job)
    with connect(job["option_file"]) as session:
        datadir = data_directory(session)
        check_room(datadir, job["bytes"], job["freed"])
        with marked(datadir) as touched:
            progress.stage("clears")
            touched()
            clear(session)
            progress.stage("copies")
            position, accounts = copy(session, job, progress, folder)
            write_accounts(session, accounts)
            return finish(session, job, position, progress)


def clear(session):
    """Drop what is here, and stop replication."""
    with session.cursor() as cursor:
        # This session waits for the whole dump.
        cursor.execute("SET SESSION wait_timeout = 2147483")
        cursor.execute("SET sql_log_bin = 0")
        cursor.execute("SET foreign_key_checks = 0")
        cursor.execute("STOP SLAVE")
        cursor.execute("RESET SLAVE ALL")
        for name in user_databases(session):
            cursor.execute("DROP DATABASE " + identifier(name))


def copy(session, job, progress, folder):
    """Copy the databases; returns the position of the snapshot, and the accounts of that moment."""
    with login_at_master(job["master"]) as master, settings(session, FOR_THE_DUMP):
        before = outline(master, job)
        if not before[0]:
            fail("there is nothing on the master, so nothing was seeded")
        gtids = gtid_state_of_master(master)
        dump = start(dump_command(job, folder, before[0]), folder, stdout=subprocess.PIPE)
        load = start(load_command(job), folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        with progress.moving(dump, load):
            header = read_header(dump.stdout)
            position = position_in(header, folder)
            gtid = rows(master, "SELECT BINLOG_GTID_POS(%s, %s) AS gtid", [position["file"], position["position"]])
            if outline(master, job) != before:
                fail("a database or an account was made, changed or dropped on the master just then; seed again")
            progress.count(len(header))
            let_flow(header, dump, load, progress, folder)
    return {**position, "gtid": gtid[0]["gtid"], "before": gtids}, before[1]


def outline(master, job):
    """Return what is not part of a snapshot: it has to be the same before and after it is taken."""
    return user_databases(master), read_accounts(master, job["master"]["user"])


@contextlib.contextmanager
def settings(session, wanted):
    """Set the server's settings for a while."""
    before = {name: rows(session, "SELECT @@GLOBAL.{} AS value".format(name))[0]["value"] for name in wanted}
    set_all(session, wanted)
    try:
        yield
    except Exception:
        # The server may be gone; what is told is why, and it starts with its own settings again.
        with contextlib.suppress(Exception):
            set_all(session, before)
        raise
    set_all(session, before)


def set_all(session, values):
    """Set settings of the server."""
    with session.cursor() as cursor:
        for name, value in values.items():
            cursor.execute("SET GLOBAL {} = %s".format(name), [value])


def dump_command(job, folder, databases):
    """Return the command that reads the master; the password is in a file of root's."""
    master = job["master"]
    text = "[client]\nhost={host}\nport={port}\nuser={user}\npassword={password}\n".format(**master)
    if master["ca"]:
        text += "ssl-ca={}\nssl-verify-server-cert\n".format(master["ca"])
    options = private(folder, "master.cnf", text)
    return ["mariadb-dump", "--defaults-file=" + options, *DUMP, "--databases", "--", *databases]


def load_command(job):
    """Return the command that writes here, and not to the binary log."""
    login = ["--defaults-file=" + job["option_file"]] if job["option_file"] else ["--no-defaults", "--user=root"]
    options = ["--socket=" + SOCKET, "--max-allowed-packet=1G", "--init-command=SET sql_log_bin = 0"]
    return ["mariadb", *login, *options]


def read_header(source):
    """Return the first bytes of a dump, to behind the position."""
    header = b""
    while len(header) < HEADER_BYTES and not POSITION.search(header):
        read_now = os.read(source.fileno(), 4096)
        if not read_now:
            break
        header += read_now
    return header


def position_in(header, folder):
    """Return the position that a dump begins with."""
    found = POSITION.search(header)
    if not found:
        fail("the master cannot be dumped: " + said_by("mariadb-dump", folder))
    return {"file": found[1].decode(), "position": int(found[2])}


def let_flow(header, dump, load, progress, folder):
    """Move the dump into this server."""
    try:
        # Both are pipes: what was read already goes first.
        load.stdin.write(header)
        load.stdin.flush()
        pour(dump.stdout, load.stdin, progress)
        if dump.wait():
            load.kill()
        load.stdin.close()
    except BrokenPipeError:
        pass
    if progress.stalled:
        fail(
            "no data came for {} seconds; look at the network and at both servers, and seed again".format(STALL_SECONDS)
        )
    if dump.poll():
        fail("the dump of the master broke off ({}); seed again".format(said_by("mariadb-dump", folder)))
    if load.wait() or dump.wait():
        fail("this server did not take the dump ({}); seed again".format(said_by("mariadb", folder)))
