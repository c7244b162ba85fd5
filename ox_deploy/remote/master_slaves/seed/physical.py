"""Seed this replica with a backup of its master's data directory, which the master sends."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess

from ox_deploy.remote.common.commands import run, run_or_fail
from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.files import read
from ox_deploy.remote.common.lease import host_lock
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.common.units import wait_until_settled
from ox_deploy.remote.master_slaves.role.check import check_role
from ox_deploy.remote.master_slaves.seed.common import Progress, pipe_of, pour, said_by, start, work
from ox_deploy.remote.master_slaves.seed.directories import BEFORE, NEW, OLD, discard_old, put_back
from ox_deploy.remote.master_slaves.seed.master import gtid_state_of_master, login_at_master
from ox_deploy.remote.master_slaves.seed.slave import (
    check_logins,
    check_room,
    clean_up,
    data_directory,
    drop_throw_away,
    finish,
    marked,
    recover,
)
from ox_deploy.remote.master_slaves.seed.stream import COMPLETE, LISTEN_SECONDS, PORT, SILENCE_SECONDS, tls
from ox_deploy.remote.mysql.session import connect

BINLOG_FILES = ("mariadb_backup_binlog_info", "xtrabackup_binlog_info")
# Of the backup only, not of a server.
SURPLUS = ("xtrabackup_*", "mariadb_backup_*", "backup-my.cnf", COMPLETE)
# What a server of this version leaves in its directory, so that it does not take it for one of another.
KEPT = ("debian-*.flag", "*_upgrade_info")


def seed_physical(job: Document) -> None:
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
        check_place(session, datadir)
    new = datadir + NEW
    check_room(os.path.dirname(datadir), job["bytes"])
    with marked(datadir) as touched:
        try:
            shutil.rmtree(new, ignore_errors=True)
            os.mkdir(new, 0o700)
            with login_at_master(job["master"]) as master:
                gtids = gtid_state_of_master(master)
            receive(job, new, progress, folder)
            progress.stage("prepares")
            position = {**prepare(new, folder), "before": gtids}
            progress.stage("changes over")
            touched()
            change_over(datadir, job["unit"])
        finally:
            shutil.rmtree(new, ignore_errors=True)
        with connect(job["option_file"]) as session:
            drop_throw_away(session, job["master"])
            summary = finish(session, job, position, progress)
        discard_old(datadir)
    return summary


def check_place(session: Session, datadir: str) -> None:
    """Find out whether the server's directory can be exchanged as a whole."""
    remedy = "; seed with `--data seed_method=logical`"
    if os.path.ismount(datadir):
        fail(f"{datadir} is a separate file system, so it cannot be replaced{remedy}")
    for name in ("innodb_data_home_dir", "innodb_log_group_home_dir", "innodb_undo_directory"):
        value = rows(session, f"SELECT @@{name} AS value")[0]["value"]
        if value and os.path.realpath(os.path.join(datadir, value)) != datadir:
            fail(f"`{name}` of the server is {value}, outside of {datadir}{remedy}")


def receive(job: Document, new: str, progress: Progress, folder: str) -> None:
    """Write the backup that the master sends into a new directory."""
    options = "bind={},reuseaddr,accept-timeout={},{}".format(
        job["address"], LISTEN_SECONDS, tls(folder, job["certificate"])
    )
    listen = ["socat", "-u", "-T", str(SILENCE_SECONDS), f"OPENSSL-LISTEN:{PORT},{options}", "-"]
    connection = start(listen, folder, stdout=subprocess.PIPE)
    unpack = start(["mbstream", "-x", "-C", new], folder, stdin=subprocess.PIPE)
    progress.stage("listens")
    with progress.moving(connection, unpack):
        source, sink = pipe_of(connection.stdout), pipe_of(unpack.stdin)
        try:
            first = os.read(source.fileno(), 65536)
            if not first:
                fail(nobody_came(job, folder))
            progress.stage("copies")
            progress.count(len(first))
            sink.write(first)
            sink.flush()
            pour(source, sink, progress)
            sink.close()
        except BrokenPipeError:
            pass
        if unpack.wait():
            fail("the backup cannot be unpacked ({}); seed again".format(said_by("mbstream", folder)))
    if not os.path.exists(os.path.join(new, COMPLETE)):
        fail("the backup of the master failed; seed again")


def nobody_came(job: Document, folder: str) -> str:
    """Say that the master did not connect."""
    text = "the master could not connect to {}:{} within {} seconds ({}); open that port to the master, and seed again"
    return text.format(job["address"], PORT, LISTEN_SECONDS, said_by("socat", folder))


def prepare(new: str, folder: str) -> Document:
    """Make the backup a data directory; return the position at which it was taken."""
    with open(os.path.join(folder, "prepare.log"), "w") as log:
        argv = ["mariadb-backup", "--prepare", "--target-dir=" + new]
        if subprocess.run(argv, stdout=log, stderr=log, check=False).returncode:
            fail("the backup cannot be prepared ({}); seed again".format(said_by("prepare", folder)))
    texts = [read(os.path.join(new, name)) for name in BINLOG_FILES]
    file, position, gtid = ([*next(filter(None, texts)).decode().rstrip("\n").split("\t"), ""])[:3]
    return {"file": file, "position": int(position), "gtid": gtid}


def change_over(datadir: str, unit: str) -> None:
    """Let the server run on the new directory; if it does not, on the old one as before."""
    new, old, before = (datadir + end for end in (NEW, OLD, BEFORE))
    adapt(new, datadir)
    # With the lock, so that no deploy starts the server meanwhile. Whoever has the lease: this goes on when its run is
    # gone, too, and the mark on the replica keeps others from it.
    with host_lock():
        wait_until_settled(unit)
        run_or_fail(["systemctl", "stop", unit])
        try:
            os.rename(datadir, old)
            os.rename(new, datadir)
        except OSError:
            go_back(datadir, unit)
            raise
        if run(["systemctl", "start", unit]).returncode:
            go_back(datadir, unit)
            text = "the server does not start with its master's data, and runs on its own again; see `journalctl -u {}`"
            fail(text.format(unit))
        os.rename(old, before)


def go_back(datadir: str, unit: str) -> None:
    """Let the server run on the directory that it had."""
    put_back(datadir, unit)
    run_or_fail(["systemctl", "start", unit])


def adapt(new: str, datadir: str) -> None:
    """Give a new directory the owner of the old one, and what the server's package keeps there."""
    for pattern in SURPLUS:
        for path in glob.glob(os.path.join(new, pattern)):
            os.unlink(path)
    for pattern in KEPT:
        for path in glob.glob(os.path.join(datadir, pattern)):
            shutil.copy(path, new)
    status = os.stat(datadir)
    os.chmod(new, status.st_mode)
    run_or_fail(["chown", "-R", f"{status.st_uid}:{status.st_gid}", new])
