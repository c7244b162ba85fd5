"""TCP sockets of this host, read from the kernel's tables."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from ox_deploy.remote.common.files import read
from ox_deploy.remote.common.once import once

LISTEN, ESTABLISHED = "0A", "01"
# What takes in what anybody sends has another state where there are no connections.
BOUND = {"tcp": LISTEN, "udp": "07"}


def sockets(wanted: str) -> list[tuple[int, str, int]]:
    """Return (local port, remote address, remote port) of all TCP sockets in a state."""
    found = []
    for fields in table("tcp"):
        if fields[3] == wanted:
            remote, port = fields[2].split(":")
            found.append((int(fields[1].split(":")[1], 16), address_of(remote), int(port, 16)))
    return found


def table(protocol: str) -> list[list[str]]:
    """Return the lines of the kernel's table of a protocol, in fields; it takes milliseconds for that."""
    return once(f"/proc/net/{protocol}", lambda: [*lines_of(protocol), *lines_of(f"{protocol}6")])


def lines_of(name: str) -> Iterator[list[str]]:
    """Yield the lines of one of the kernel's tables, in fields."""
    for line in (read(f"/proc/net/{name}") or b"").decode().splitlines()[1:]:
        yield line.split()


def address_of(text: str) -> str:
    """Return the IPv4 address in the kernel's notation, also where it is mapped into IPv6."""
    return socket.inet_ntop(socket.AF_INET, bytes.fromhex(text[-8:])[::-1])


def listening_ports() -> set[int]:
    """Return the TCP ports on which processes listen."""
    return {local for local, _, _ in sockets(LISTEN)}


def listens(port: int) -> bool:
    """Tell whether a process listens on a TCP port."""
    return port in listening_ports()


def bound(protocol: str) -> list[tuple[str, int, str]]:
    """Return (local address, port, inode) of all sockets that take in what others send by TCP or UDP."""
    found = []
    for fields in table(protocol):
        if fields[3] == BOUND[protocol]:
            local, port = fields[1].split(":")
            found.append((address_of(local), int(port, 16), fields[9]))
    return found
