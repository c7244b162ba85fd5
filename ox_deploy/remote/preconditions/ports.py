"""Ports that the cluster needs: those that another program has here, and those that cannot be reached elsewhere."""

from __future__ import annotations

import errno
import os
import pwd
import selectors
import socket
import time

from ox_deploy.remote.common.processes import holders_of_sockets, name_of, unit_of
from ox_deploy.remote.common.sockets import ESTABLISHED, bound, sockets
from ox_deploy.remote.common.types import Document

# How long all others are waited for, which are tried at the same time.
SECONDS = 1.5
EVERYWHERE = "0.0.0.0"  # noqa: S104 - read, not bound
# Nothing listens there yet, or not for us: somebody has answered.
ANSWERS = (0, errno.ECONNREFUSED, errno.ECONNRESET)
# It holds the sockets of its units until somebody comes.
SYSTEMD = "1"


def taken_ports(wanted: list[Document]) -> list[Document]:
    """Return the ports that a program has which is none of the wanted units, with that program and its unit.

    Each port has its number, protocol, the address on which it is needed (None for all) and who may have it.
    """
    found = []
    tables = {protocol: bound(protocol) for protocol in {port["protocol"] for port in wanted}}
    held = [(port, inode) for port in wanted for inode in inodes_of(port, tables[port["protocol"]])]
    holders = holders_of_sockets() if held else {}
    for port, inode in held:
        processes = holders.get(inode, [])
        if not any(process == SYSTEMD or is_wanted(process, port) for process in processes):
            found += [{**port, "program": name_of(each), "unit": unit_of(each)} for each in processes[:1]]
    return found


def inodes_of(port: Document, table: list[tuple[str, int, str]]) -> list[str]:
    """Return the sockets of a table that are in the way of one that is bound to a port."""
    return [
        inode
        for address, number, inode in table
        if number == port["number"] and (port["address"] is None or address in (EVERYWHERE, port["address"]))
    ]


def is_wanted(process: str, port: Document) -> bool:
    """Tell whether a process may have a port: by its unit, or by its user where that logs in to start it."""
    if unit_of(process) in port["units"]:
        return True
    try:
        return bool(port["user"]) and pwd.getpwuid(os.stat(f"/proc/{process}").st_uid)[0] == port["user"]
    except (OSError, KeyError):
        return False


def unreachable(wanted: list[Document]) -> list[Document]:
    """Return where nobody answers, with the error; each way has addresses, and ports that are needed at all of them.

    Where there is a connection already, none is made: a database server writes each that comes to nothing into its log.
    """
    connected = {(address, port) for _, address, port in sockets(ESTABLISHED)}
    places = [(address, port) for way in wanted for address in way["addresses"] for port in way["ports"]]
    left = [{"address": address, "port": port} for address, port in places if (address, port) not in connected]
    return [{**place, "error": error} for place, error in tried(left) if error]


def tried(places: list[Document]) -> list[tuple[Document, str]]:
    """Return what came of a connection to each place, "" if somebody answered."""
    found: list[tuple[Document, str]] = []
    with selectors.DefaultSelector() as waiting:
        for place in places:
            attempt = socket.socket()
            attempt.setblocking(False)
            code = attempt.connect_ex((place["address"], place["port"]))
            if code == errno.EINPROGRESS:
                waiting.register(attempt, selectors.EVENT_WRITE, (attempt, place))
            else:
                found.append((place, error_of(code)))
                attempt.close()
        deadline = time.monotonic() + SECONDS
        while waiting.get_map() and (seconds := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(seconds):
                attempt, place = key.data
                found.append((place, error_of(attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))))
                waiting.unregister(attempt)
                attempt.close()
        for key in list(waiting.get_map().values()):
            attempt, place = key.data
            found.append((place, f"no answer within {SECONDS} s"))
            attempt.close()
    return found


def error_of(code: int) -> str:
    """Return the system's words for an error, "" if somebody answered."""
    return "" if code in ANSWERS else os.strerror(code)
