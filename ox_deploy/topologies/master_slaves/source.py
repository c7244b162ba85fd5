"""What a replica should replicate from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ox_deploy.secrets import Secret


@dataclass(frozen=True)
class Source:
    """The master a replica should read from.

    `ca` is the file on the replica with the certificates of which the master has to show one, "" for a connection that
    is not encrypted. `semi_synchronous` tells whether it waits until a replica has received a transaction.
    """

    name: str
    address: str
    port: int
    user: str
    password: Secret
    ca: str = ""
    semi_synchronous: bool = False

    def job(self) -> dict[str, Any]:
        """Return it as a program takes it, with the password in clear."""
        how = {"ca": self.ca, "semi_synchronous": self.semi_synchronous}
        return {"host": self.address, "port": self.port, **how, **self.login()}

    def peer(self) -> dict[str, Any]:
        """Return how another database server logs in there, with the password in clear."""
        return {"name": self.name, "host": self.address, "port": self.port, "ca": self.ca, **self.login()}

    def login(self) -> dict[str, Any]:
        """Return the account as a program takes it, with the password in clear."""
        return {"user": self.user, "password": self.password.reveal()}
