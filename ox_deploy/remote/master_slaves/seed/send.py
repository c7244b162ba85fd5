"""Send a backup of this master's data directory to a replica that listens for it."""

from __future__ import annotations

import os
import subprocess
import time

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.master_slaves.seed.common import Progress, enlarge, private, said_by, start, work
from ox_deploy.remote.master_slaves.seed.stream import COMPLETE, PORT, SILENCE_SECONDS, tls
from ox_deploy.remote.mysql.session import SOCKET


def seed_send(job: Document) -> None:
    """Do all of it."""
    work(send, job)


def send(job: Document, progress: Progress, folder: str) -> str:
    """Go through the steps; returns what came of it in words."""
    progress.state["to"] = job["address"]
    progress.stage("sends")
    marker = private(folder, COMPLETE, "")
    reading, writing = os.pipe()
    enlarge(writing)
    address = "OPENSSL:{}:{},retry=5,interval=1,{}".format(job["address"], PORT, tls(folder, job["certificate"]))
    connection = start(["socat", "-u", "-T", str(SILENCE_SECONDS), "-", address], folder, stdin=reading)
    os.close(reading)
    backup = start(backup_command(job, folder), folder, stdout=writing)
    try:
        wait_for_backup(job, connection, backup, folder)
        subprocess.run(["mbstream", "-c", os.path.basename(marker)], cwd=folder, stdout=writing, check=True)
    finally:
        os.close(writing)
        backup.kill()
        backup.wait()
    if connection.wait():
        fail(cut_off(job, folder))
    return "sent"


def backup_command(job: Document, folder: str) -> list[str]:
    """Return the command that writes the backup to its standard output."""
    login = ["--defaults-extra-file=" + job["option_file"]] if job["option_file"] else []
    user = [] if job["option_file"] else ["--user=root"]
    return [
        "mariadb-backup",
        *login,
        "--backup",
        "--stream=mbstream",
        *user,
        "--socket=" + SOCKET,
        "--target-dir=" + folder,
    ]


def wait_for_backup(
    job: Document, connection: subprocess.Popen[bytes], backup: subprocess.Popen[bytes], folder: str
) -> None:
    """Wait for the end of the backup, or of its connection."""
    while backup.poll() is None and connection.poll() is None:
        time.sleep(0.1)
    if connection.poll() is not None:
        fail(cut_off(job, folder))
    if backup.returncode:
        fail("the backup of the master failed ({})".format(said_by("mariadb-backup", folder)))


def cut_off(job: Document, folder: str) -> str:
    """Say that the replica cannot be reached any more, or never could."""
    text = "the connection to {}:{} failed ({}); open that port of the replica to the master, and seed again"
    return text.format(job["address"], PORT, said_by("socat", folder))
