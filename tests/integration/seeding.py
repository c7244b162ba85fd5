"""What the tests of seeding do with the lab's databases: a load that never stops, replicas that have to be seeded."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.integration.database import is_mariadb, kind, shell, sql
from tests.integration.deployment import INVENTORY, PYINFRA, Run, pyinfra
from tests.lab import state
from tests.lab.nodes import exec_in, run, wait_for

ACKNOWLEDGED = "/var/tmp/acknowledged"
# In the middle of the data: 10 MB came.
COPIES = 'systemctl is-active -q ox-seed && grep -Eq \'"copies", "bytes": [0-9]{8}\' /run/ox-deploy/seed.json'

# Inserts numbered rows all the time; a number is written down when the master has acknowledged it.
WRITER = f"""
import pymysql, time
def connect():
    return pymysql.connect(unix_socket="/run/mysqld/mysqld.sock", user="root", autocommit=True)
session, number = None, 0
with open("{ACKNOWLEDGED}", "w", buffering=1) as log:
    while True:
        number += 1
        try:
            session = session or connect()
            with session.cursor() as cursor:
                cursor.execute("INSERT INTO seedtest.numbers VALUES (%s, NOW(6))", [number])
            print(number, file=log)
        except pymysql.Error:
            session = None
        time.sleep(0.01)
"""


def command(*options: str, inventory: str = INVENTORY, slave: str = "dbslave") -> list[str]:
    named = ["--data", f"seed_slave={slave}"]
    return [*PYINFRA, "-y", *named, *options, inventory, "ox_deploy.deploys.seed.seed"]


def seed(*options: str, inventory: str = INVENTORY, slave: str = "dbslave") -> Run:
    """Seed the replica; the run has to succeed."""
    done = pyinfra(command(*options, inventory=inventory, slave=slave))
    assert done.code == 0, done.output
    return done


def seed_fails(*options: str, env: dict[str, str] | None = None) -> str:
    """Seed the replica; the run has to fail. Returns all that was printed."""
    done = pyinfra(command(*options), env)
    assert done.code != 0, done.output
    assert "Traceback" not in done.output, done.output
    return done.output


@contextmanager
def under_way(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Start a seeding, and go on when it is in the middle of the data; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        command(*options),
        cwd=state.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYINFRA_PROGRESS": "off"},
        start_new_session=True,
    )
    try:
        wait_for("dbslave", COPIES, 120)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def make_data() -> None:
    """Make the table that is large, and the one that is written to."""
    # 240 MB, so that a seeding can be disturbed.
    rows = (
        "INSERT INTO bulk SELECT seq, REPEAT(MD5(seq), 30) FROM seq_1_to_250000"
        if is_mariadb()
        else "SET cte_max_recursion_depth = 250000; INSERT INTO bulk WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL "
        "SELECT n + 1 FROM seq WHERE n < 250000) SELECT n, REPEAT(SHA2(n, 256), 15) FROM seq"
    )
    sql(
        "dbmaster",
        "DROP DATABASE IF EXISTS seedtest; CREATE DATABASE seedtest; USE seedtest;"
        "CREATE TABLE numbers (n INT PRIMARY KEY, at DATETIME(6));"
        "CREATE TABLE bulk (id INT PRIMARY KEY, text VARCHAR(2000));"
        "CREATE VIEW odd AS SELECT n FROM numbers WHERE n % 2; CREATE PROCEDURE nothing() SELECT 1;"
        "CREATE EVENT never ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01' DO DELETE FROM bulk;"
        "CREATE USER seedtest@'192.0.2.%' IDENTIFIED BY 'only-in-this-lab'; GRANT SELECT ON seedtest.* TO "
        "seedtest@'192.0.2.%';",
    )
    sql("dbmaster", f"USE seedtest; {rows}")


def remove_data() -> None:
    sql("dbmaster", "DROP DATABASE IF EXISTS seedtest; DROP USER IF EXISTS seedtest@'192.0.2.%'")


@contextmanager
def writing() -> Iterator[None]:
    """Write to the master all the time; in the end, compare every row."""
    sql("dbmaster", "TRUNCATE seedtest.numbers")
    # Of the test before; this one's comes when it really writes.
    run("dbmaster", f"rm -f {ACKNOWLEDGED}")
    run("dbmaster", ["systemd-run", "--quiet", "--collect", "--unit=writer", "python3", "-c", WRITER])
    wait_for("dbmaster", f"[ -e {ACKNOWLEDGED} ] && [ $(wc -l < {ACKNOWLEDGED}) -gt 10 ]")
    try:
        yield
    finally:
        run("dbmaster", "systemctl stop writer")
    assert_equal()


def numbers(node: str) -> set[int]:
    return {int(line) for line in sql(node, "SELECT n FROM seedtest.numbers").split()}


def wait_until_caught_up(slave: str = "dbslave") -> None:
    file, position = sql("dbmaster", "SHOW MASTER STATUS").split()[:2]
    waited = sql(slave, f"SELECT MASTER_POS_WAIT('{file}', {position}, 60)")
    assert waited not in ("NULL", "-1"), sql(slave, "SHOW SLAVE STATUS\\G")


def assert_equal() -> None:
    """Every acknowledged row is on the replica, which has neither more nor less than its master, and is left clean."""
    wait_until_caught_up()
    acknowledged = {int(line) for line in run("dbmaster", f"cat {ACKNOWLEDGED}").split()}
    on_slave = numbers("dbslave")
    assert len(acknowledged) > 10
    assert not acknowledged - on_slave, f"lost: {sorted(acknowledged - on_slave)[:20]}"
    assert numbers("dbmaster") == on_slave
    checksum = "CHECKSUM TABLE seedtest.bulk, seedtest.numbers"
    assert sql("dbmaster", checksum) == sql("dbslave", checksum)
    assert sql("dbslave", "SHOW GRANTS FOR seedtest@'192.0.2.%'") == sql(
        "dbmaster", "SHOW GRANTS FOR seedtest@'192.0.2.%'"
    )
    # The views of information_schema are each server's own; MySQL 9.7 may start without some of them.
    objects = (
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA <> 'information_schema'"
    )
    there, here = (set(sql(node, objects).splitlines()) for node in ("dbmaster", "dbslave"))
    assert there == here, f"on one of them only: {there ^ here}"
    assert sql("dbslave", "SELECT STATUS FROM information_schema.EVENTS").endswith("SIDE_DISABLED")
    assert sql("dbmaster", scheduler := "SELECT @@event_scheduler") == sql("dbslave", scheduler)
    assert_nothing_is_left()


def assert_nothing_is_left() -> None:
    for node in ("dbmaster", "dbslave"):
        assert sql(node, "SELECT COUNT(*) FROM mysql.user WHERE User = 'ox_seed'") == "0", node
        left = "/var/lib/mysql.ox-seed* /run/ox-seed /run/ox-deploy/seed.py /var/lib/ox-deploy/clone-plugin"
        assert run(node, f"ls -d {left} {kind().seed_fence} 2>/dev/null || true") == ""
        assert sql(node, "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'clone'") == "0", node
        assert "ox-seed" not in run(node, "systemctl list-timers --all --no-legend"), node
        assert exec_in(node, "systemctl is-active -q ox-seed").code
    assert exec_in("dbslave", "test -e /var/lib/ox-deploy/seeding").code


def purge_master() -> None:
    """Let the master's binary log begin now."""
    sql("dbmaster", "FLUSH BINARY LOGS")
    newest = sql("dbmaster", "SHOW BINARY LOGS").splitlines()[-1].split()[0]
    # What another replica reads just now is not purged.
    purge, logs = shell(f"PURGE BINARY LOGS TO '{newest}'"), shell("SHOW BINARY LOGS")
    wait_for("dbmaster", f'{purge} && [ "$({logs} | head -n 1 | cut -f 1)" = {newest} ]')


def empty_slave() -> None:
    """Make the replica one that was just installed, for a master whose binary log does not hold everything."""
    names = sql("dbslave", "SHOW DATABASES").split()
    own = [name for name in names if name not in ("information_schema", "mysql", "performance_schema", "sys")]
    drops = "".join(f"DROP DATABASE `{name}`;" for name in own)
    sql("dbslave", f"SET sql_log_bin = 0; STOP SLAVE; RESET SLAVE ALL; {drops} RESET MASTER")
    purge_master()


def rates(output: str) -> Sequence[str]:
    """Return the lines of progress that tell how fast the data came."""
    return re.findall(r"copies: \d+ MB, [\d.]+ MB/s", output)
