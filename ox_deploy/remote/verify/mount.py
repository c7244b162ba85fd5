"""Print what is mounted at a path; read from the kernel's table, which cannot hang."""

from __future__ import annotations

from ox_deploy.remote.common.types import Document
from ox_deploy.remote.filestore.state import mount_of
from ox_deploy.remote.verify.common import attempt


def verify_mount(job: Document) -> Document:
    """Return it."""
    return attempt(lambda job: {"mount": mount_of(job["path"], job.get("source", ""))}, job)
