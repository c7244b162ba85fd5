"""How the programs of `verify` reach the web host by HTTPS."""

from __future__ import annotations

import socket
import ssl

from ox_deploy.remote.common.types import Document

HTTP_PORT, HTTPS_PORT = 80, 443
# For a connection, and for an answer on it: a balancer that waits for a dead node takes some seconds.
SECONDS = 10


def trusting(certificate: str) -> ssl.SSLContext:
    """Return what accepts this certificate only: itself, or one that it is the issuer of."""
    context = ssl.create_default_context(cafile=certificate)
    # A file without the root of its chain is enough.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def open_https(job: Document, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Open a connection to the web host at its own address, under the name that users know."""
    plain = socket.create_connection((job["address"], HTTPS_PORT), SECONDS)
    return context.wrap_socket(plain, server_hostname=job["web_name"])
