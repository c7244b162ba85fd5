"""Requests to the web host from outside the cluster: paths as they are written, and TLS as a client wants it."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message

from tests.lab import state
from tests.lab.nodes import run

# What Mozilla's "intermediate" knows up to TLS 1.2 with the lab's kind of key.
CIPHERS = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305")
# A page of the stand-in that users need, and those that are for administration.
OPEN = "/servlet/webdav.ical/page"
CLOSED = ("/servlet/axis2/services/page", "/axis2/services/page", "/servlet/other/page")
# Other spellings of a segment, or of what stands before it, each of which some server takes for the same.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda path: path,
    "encoded letter": lambda path: re.sub("i", "%69", path),
    "encoded twice": lambda path: re.sub("i", "%2569", path),
    "encoded slash": lambda path: path.replace("/page", "%2Fpage"),
    "double slash": lambda path: path.replace("/", "//"),
    "dot": lambda path: path.replace("/page", "/./page"),
    "dots": lambda path: path.replace("/page", "/other/../page"),
    "dots from an open path": lambda path: f"/ajax/..{path}",
    "encoded dots": lambda path: f"/ajax/%2e%2e{path}",
    "capitals": lambda path: path.upper(),
    "parameter": lambda path: path.replace("/page", ";a=b/page"),
    "parameter of the first segment": lambda path: re.sub(r"^/([^/]+)", r"/\1;a=b", path),
    "encoded parameter": lambda path: path.replace("/page", "%3Ba=b/page"),
    "parameter at the end": lambda path: f"{path};a=b",
    "backslash": lambda path: path.replace("/page", "%5Cpage"),
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    text: str

    @property
    def is_from_a_node(self) -> bool:
        return self.status == 200 and self.text.startswith("path=/")


def ask(path: str) -> Answer:
    """Ask for a path as it is, from an address that is none of the web host's."""
    context = ssl.create_default_context(cafile=str(state.TLS_CERTIFICATE))
    address = state.load().nodes["web"].address
    connection = http.client.HTTPSConnection(address, context=context, timeout=20)
    connection.request("GET", path, headers={"Connection": "close"})
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    connection.close()
    return Answer(answer.status, answer.headers, text)


def status_on_the_web_host(path: str) -> int:
    """Ask for a path on the web host itself."""
    code = "import http.client, ssl, sys; c = ssl._create_unverified_context(); "
    code += "w = http.client.HTTPSConnection('127.0.0.1', context=c); w.request('GET', sys.argv[1]); "
    code += "print(w.getresponse().status)"
    return int(run("web", ["python3", "-c", code, path]))


def send_half_a_request(handshake: bool) -> tuple[float, bytes]:
    """Return after how many seconds Apache gives up a client that sends no more, and what it said then.

    + handshake: the client is slow after it, not in it
    """
    context = ssl.create_default_context(cafile=str(state.TLS_CERTIFICATE))
    address = state.load().nodes["web"].address
    begun = time.monotonic()
    with socket.create_connection((address, 443), timeout=60) as plain:
        session = context.wrap_socket(plain, server_hostname=address) if handshake else plain
        # Before the first bytes the kernel keeps the connection to itself.
        session.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" if handshake else b"\x16\x03\x01")
        answer = session.recv(4096)
    return time.monotonic() - begun, answer


def agreed(version: ssl.TLSVersion, ciphers: str = "ALL") -> str | None:
    """Return the cipher of a session with just this version, and one of these ciphers up to 1.2; None if refused."""
    context = ssl.create_default_context(cafile=str(state.TLS_CERTIFICATE))
    # Level 0 lets this side take anything, so that the other one has to refuse.
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    address = state.load().nodes["web"].address
    try:
        with (
            socket.create_connection((address, 443), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname=address) as session,
        ):
            cipher = session.cipher()
            return cipher[0] if cipher else None
    except ssl.SSLError as error:
        assert error.reason and "ALERT" in error.reason, error
        return None
