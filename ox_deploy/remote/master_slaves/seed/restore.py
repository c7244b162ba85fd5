"""Put back the data that this replica had before a seeding that failed."""

from __future__ import annotations

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.files import read
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.master_slaves.seed.common import MARK
from ox_deploy.remote.master_slaves.seed.directories import old_data
from ox_deploy.remote.master_slaves.seed.slave import recover
from ox_deploy.remote.master_slaves.seed.start import UNIT


def seed_restore(job: Document) -> None:
    """Look once more, then do it. The replica stays marked: it has old data, and replicates from nobody."""
    datadir = (read(MARK) or b"").decode()
    runs = run(["systemctl", "is-active", "--quiet", UNIT]).returncode == 0
    if runs or not old_data(datadir):
        fail("the old data of this host was there when this run looked, but is not any more; nothing was changed here")
    recover(job)
