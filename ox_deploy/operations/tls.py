"""Certificates with which database servers know each other: each makes its own, and all trust those of all."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.certificate import fits, for_address
from ox_deploy.facts.service import ServiceStatus
from ox_deploy.facts.tls import Tls, TlsStatus
from ox_deploy.mysql.servers import DatabaseServer
from ox_deploy.operations import service
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import order
from ox_deploy.questions.peer import PeerUnreachable, ask_peer
from ox_deploy.questions.question import Question

SOCKET = "/run/mysqld/mysqld.sock"


@dataclass(frozen=True)
class Files:
    """Where a server has its certificate with the private key, and those that it trusts; `owner` reads the key."""

    pair: str
    trusted: str
    owner: str = "mysql"


def _question(files: Files, **_: Any) -> Question[TlsStatus]:
    return Question(Tls, **asdict(files))


@prefetch.asks(_question)
@operation()
def certificate(files: Files, address: str) -> Generator[StringCommand, None, None]:
    """
    Let a database server have a private key and a self-signed certificate for its address.

    + files: where they are kept
    + address: the address at which the others reach it

    Idempotent: a pair is kept unless it is for another address, does not belong together, ends soon, or others can read
    the key. The key is made on the host and stays there. The server uses a new pair when `trust` has been called, or
    when it is restarted.
    """
    found = ask(host, _question(files))
    if found.private and fits(found.certificate, found.public_key, address):
        host.noop("it has a certificate")
    else:
        yield order("tls_certificate", {"pair": files.pair, "owner": files.owner, "address": address})


def _service_question(files: Files, server: DatabaseServer, **_: Any) -> Question[ServiceStatus]:
    return service.question(_mark(server), [service.ManagedFile(files.trusted)])


def _mark(server: DatabaseServer) -> str:
    return f"{server.unit}-tls"


def _peers(
    files: Files, servers: Mapping[str, str], server: DatabaseServer, **_: Any
) -> list[tuple[str, Question[Any]]]:
    own = [(host.name, _service_question(files, server))]
    return own + [(name, _question(files)) for name in servers.values()]


@prefetch.asks(peers=_peers)
@operation()
def trust(
    files: Files, servers: Mapping[str, str], server: DatabaseServer, option_file: str | None = None
) -> Generator[StringCommand, None, None]:
    """
    Let a database server trust the certificates of all, and use its own one as it is now.

    + files: where they are kept, the same on all servers
    + servers: names in the inventory of all database servers, this one too, by their addresses
    + server: what kind of server they are
    + option_file: root-only option file, where root cannot log in over the socket

    Idempotent. Of a server that cannot be asked, what was known before stays. Nothing is restarted.
    """
    wanted = service.ManagedFile(files.trusted, _certificates(files, servers))
    status = ask(host, _service_question(files, server))
    changed = service.changes([wanted], status)
    if changed or status.pending:
        login = [f"--defaults-file={option_file}"] if option_file else ["--no-defaults", "--user=root"]
        # Its own certificate is among them, so a new one is a change, too. A reader must not have it in its binlog.
        use = [server.client, *login, f"--socket={SOCKET}", f"--execute={server.reload_tls}"]
        yield order("service_configure", service.configure_job(_mark(server), changed, commands=[use]))
    else:
        host.noop("it trusts the certificates of all database servers")


def _certificates(files: Files, servers: Mapping[str, str]) -> str:
    """Return the certificates of all servers, in an order that does not depend on their roles."""
    known = ask(host, _question(files)).trusted
    return "".join(
        _certificate_of(name, files) or for_address(known, address) for address, name in sorted(servers.items())
    )


def _certificate_of(name: str, files: Files) -> str:
    try:
        return ask_peer(host, name, _question(files)).certificate
    except PeerUnreachable:
        return ""
