"""Secrets are told by a digest, so that they can be compared without being shown."""

from __future__ import annotations

import hashlib
import os

from ox_deploy.remote.common.types import Document


def fingerprint(secret: str, salt: str | None = None) -> Document:
    """Return a salted digest of a secret, so that it can be compared without being shown."""
    salt = salt or os.urandom(8).hex()
    return {"salt": salt, "digest": hashlib.sha256((salt + secret).encode()).hexdigest()}
