"""How a fact lets a secret be compared without showing it."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel


class Fingerprint(BaseModel, frozen=True):
    """A salted digest; the salt is new each time a fact is asked."""

    salt: str
    digest: str

    def matches(self, value: str) -> bool:
        """Tell whether the secret is this one."""
        return hashlib.sha256((self.salt + value).encode()).hexdigest() == self.digest
