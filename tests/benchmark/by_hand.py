"""A replica is filled from its master by hand: the tools of a seeding with the same options, joined by bare pipes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from ox_deploy.certificate import one_time_pair
from ox_deploy.mysql.dialects import dialect_of
from ox_deploy.remote.master_slaves.seed.logical import load_command as seeding_load_command
from ox_deploy.remote.master_slaves.seed.send import backup_command
from ox_deploy.remote.master_slaves.seed.stream import PORT
from ox_deploy.topologies.master_slaves.operations.seed import STREAM
from tests.lab.nodes import run
from tests.lab.state import Node

USER, PASSWORD = "by_hand", "by-hand-only-in-this-lab"
FOLDER = "/run/by-hand"
LOGIN, PAIR = f"{FOLDER}/master.cnf", f"{FOLDER}/pair.pem"
DATA = "/var/lib/mysql"
# What the lab has, by any version of it.
SERVER = dialect_of("10.11-MariaDB")
NEW, OLD = f"{DATA}.by-hand", f"{DATA}.by-hand-old"
TLS = f"cert={PAIR},cafile={PAIR},verify=1,commonname={STREAM}"
NAMES = (
    "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA"
    " WHERE SCHEMA_NAME NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')"
)


@contextmanager
def ready(master: Node, slave: Node) -> Iterator[None]:
    """Prepare what takes no part in the time: an account, a certificate."""
    who = f"{USER}@'{slave.address}'"
    rights = ", ".join(SERVER["copy_privileges"])
    _as_root(master, f"CREATE USER {who} IDENTIFIED BY '{PASSWORD}'; GRANT {rights} ON *.* TO {who}")
    pair = one_time_pair(STREAM)
    login = f"[client]\nhost={master.address}\nuser={USER}\npassword={PASSWORD}\n"
    for node in (master, slave):
        run(node, f"umask 077; mkdir -p {FOLDER}; cat > {PAIR}", pair)
    run(slave, f"umask 077; cat > {LOGIN}", login)
    try:
        yield
    finally:
        _as_root(master, f"DROP USER {who}")
        for node in (master, slave):
            run(node, f"rm -r {FOLDER}")


def logical(master: Node, slave: Node) -> None:
    """Dump the master straight into the replica, which is empty."""
    names = _as_root(master, NAMES).split()
    dump = shlex.join(dump_command(names))
    run(slave, f"set -o pipefail; {dump} | {shlex.join(load_command())}")


def physical(master: Node, slave: Node) -> None:
    """Stream the master's data directory to the replica, and let that run on it."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        receiver = pool.submit(run, slave, receiving(slave.address))
        run(master, sending(slave.address))
        receiver.result()


def dump_command(databases: list[str]) -> list[str]:
    return [
        "mariadb-dump",
        f"--defaults-file={LOGIN}",
        *SERVER["dump_options"],
        "--databases",
        "--",
        *databases,
    ]


def load_command() -> list[str]:
    return seeding_load_command({"option_file": None}, SERVER)


def receiving(address: str) -> str:
    """Return the script for the replica."""
    return f"""
set -eo pipefail
install -d -o mysql -g mysql -m 755 {NEW}
socat -u OPENSSL-LISTEN:{PORT},bind={address},reuseaddr,accept-timeout=60,{TLS} - | mbstream -x -C {NEW}
mariadb-backup --prepare --target-dir={NEW}
# Without these, the server takes its data for that of an older version.
cp {DATA}/debian-*.flag {DATA}/*_upgrade_info {NEW}
chown -R mysql:mysql {NEW}
systemctl stop mariadb
mv {DATA} {OLD}
mv {NEW} {DATA}
systemctl start mariadb
rm -r {OLD}
"""


def sending(address: str) -> str:
    """Return the script for the master."""
    backup = shlex.join(backup_command({"option_file": None}, FOLDER))
    # The replica may not listen yet.
    target = f"OPENSSL:{address}:{PORT},retry=100,interval=0.1,{TLS}"
    return f"set -o pipefail; {backup} | socat -u - {target}"


def _as_root(node: Node, statement: str) -> str:
    return run(node, ["mariadb", "-N", "-e", statement])
