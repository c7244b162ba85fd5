"""Put back the files of daemons that still run with the old ones, so that they come up with these, too."""

from __future__ import annotations

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.daemons.start import settle
from ox_deploy.remote.openxchange.before import restore_configuration


def daemons_undo(job: Document) -> None:
    """Do it, and stop with the sentence that says why."""
    if restore_configuration():
        settle(job)
    fail(job["sentence"])
