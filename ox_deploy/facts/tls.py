"""The certificate of a database server, and those that it trusts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact


@dataclass(frozen=True)
class TlsStatus:
    """PEM texts, "" where there is nothing.

    `certificate` is the server's own, `public_key` that of its private key, `private` tells whether only the server can
    read that one. `trusted` are the certificates of which the server that it reads from has to show one.
    """

    certificate: str = ""
    public_key: str = ""
    private: bool = False
    trusted: str = ""


class Tls(JsonFact[TlsStatus]):
    """What the server of this host has for encrypted connections. The private key stays there."""

    def command(self, pair: str, trusted: str, owner: str) -> Program:
        """Look at the file `pair`, certificate and key, which should belong to `owner`, and at the `trusted` ones."""
        return Program("tls_state", {"pair": pair, "trusted": trusted, "owner": owner})

    def parse(self, document: dict[str, Any]) -> TlsStatus:
        """Return the typed form."""
        return TlsStatus(**document)
