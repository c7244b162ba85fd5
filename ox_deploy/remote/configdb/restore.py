"""Give the database account its real password again, after a creation of configdb that was interrupted."""

from __future__ import annotations

from ox_deploy.remote.common.types import Document
from ox_deploy.remote.configdb.init import restore_password
from ox_deploy.remote.configdb.session import settings


def configdb_restore(job: Document) -> None:
    """Do it."""
    restore_password(settings(job["file"]))
