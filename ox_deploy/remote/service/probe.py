"""Does a service work, asked as its users ask it? What systemd and a configuration test say is not enough.

What it should answer is read from the files in place: after the old ones have come back, it is asked by those.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import time

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.files import read
from ox_deploy.remote.common.sockets import listens
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.common.units import unit_states
from ox_deploy.remote.mysql.options import differences, said
from ox_deploy.remote.mysql.session import connect

PROBE_SECONDS, PROBE_STEP_SECONDS, ANSWER_SECONDS = 30, 0.1, 5
# A daemon that dies of a reload lives on for a moment, and answers with what it had before.
RELOAD_SECONDS = 1


def problem_of(job: Document, reloaded: bool, seconds: float = PROBE_SECONDS) -> str | None:
    """Wait until a service works, after a reload for a while; return what is wrong with it at the end, or None."""
    steady = RELOAD_SECONDS if reloaded else 0
    deadline, since = time.monotonic() + seconds, None
    while True:
        problem, now = problem_now(job["units"], job["probe"]), time.monotonic()
        if problem is None:
            since = now if since is None else since
            if now - since >= steady:
                return None
        elif now > deadline:
            return problem
        else:
            since = None
        time.sleep(PROBE_STEP_SECONDS)


def problem_now(units: list[str], probe: Document) -> str | None:
    """Return what is wrong with a service at this moment, or None."""
    states = unit_states(units)
    for unit in units:
        if not states.get(unit, {}).get("active"):
            return f"the unit {unit} does not run"
    for name, ask in (("database", ask_database), ("site", ask_site), ("export", ask_export)):
        problem = ask(probe[name]) if probe[name] else None
        if problem:
            return problem
    return None


def ask_database(wanted: Document) -> str | None:
    """Log in as root, and compare what the server says with what its files say."""
    try:
        with connect(wanted["option_file"], connect_timeout=ANSWER_SECONDS, read_timeout=ANSWER_SECONDS) as session:
            found = {row["Variable_name"]: row["Value"] for row in rows(session, "SHOW GLOBAL VARIABLES")}
    except Exception as error:
        return f"a login of root at the database server failed: {error}"
    if not listens(int(found["port"])):
        return "the database server runs, but nothing listens on port {}".format(found["port"])
    differing = differences(found, wanted["files"], wanted["names"])
    return f"the database server says that {said(differing[0])}" if differing else None


def ask_site(wanted: Document) -> str | None:
    """Ask a web server, by all names and ports that its site has; it may have been told not to listen on some."""
    hosts = virtual_hosts((read(wanted["file"]) or b"").decode(errors="replace"))
    for port, name, certificate in [host for host in hosts if listens(host[0])] or hosts:
        problem = ask_web(wanted["address"], port, name, certificate)
        if problem:
            return problem
    return None


def virtual_hosts(text: str) -> list[tuple[int, str, str | None]]:
    """Return port, name and file of the certificate (None without TLS) of each virtual host of a site."""
    found = []
    for port, inner in re.findall(r"<VirtualHost \*:(\d+)>(.*?)</VirtualHost>", text, re.DOTALL):
        name, certificate = (
            re.search(rf"^\s*{key} (\S+)$", inner, re.MULTILINE) for key in ("ServerName", "SSLCertificateFile")
        )
        found.append((int(port), name[1] if name else "", certificate[1] if certificate else None))
    return found


def ask_web(address: str, port: int, name: str, certificate: str | None) -> str | None:
    """Ask a web server under a name, with TLS if there is a file with the certificate that it should show."""
    where = "{}://{}:{}/".format("https" if certificate else "http", address, port)
    try:
        with (
            socket.create_connection((address, port), ANSWER_SECONDS) as plain_session,
            with_tls(plain_session, name) if certificate else plain_session as session,
        ):
            session.sendall(f"HEAD / HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
            status = re.match(rb"HTTP/\S+ (\d+)", session.recv(64))
            shown = session.getpeercert(binary_form=True) if isinstance(session, ssl.SSLSocket) else None
    except OSError as error:
        return f"{where} did not answer: {error}"
    if not status or int(status[1]) >= 500:
        return "{} answered, but with {}".format(where, status[1].decode() if status else "no HTTP")
    if certificate and shown != first_certificate(certificate):
        return f"{where} does not show the certificate in {certificate}{preferred_site(address, port)}"
    return None


def preferred_site(address: str, port: int) -> str:
    """Say which file has a virtual host for just this address, which Apache prefers to one for all; "" if none."""
    shown = run(["apachectl", "-t", "-D", "DUMP_VHOSTS"]).stdout
    found = re.search(rf"^{re.escape(address)}:{port} .*?\((/[^:)]*):\d+\)", shown, re.MULTILINE | re.DOTALL)
    if found is None:
        return ""
    text = "; {} has a virtual host for {}:{}, which wins over ours for all addresses: write `*:{}` there, or remove it"
    return text.format(found[1], address, port, port)


def with_tls(session: socket.socket, name: str) -> ssl.SSLSocket:
    """Return the encrypted session; whoever issued the certificate, it is compared with the file."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(session, server_hostname=name)


def first_certificate(path: str) -> bytes | None:
    """Return the server's own certificate in a file, in binary form."""
    found = re.search(
        r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", (read(path) or b"").decode(), re.DOTALL
    )
    return ssl.PEM_cert_to_DER_cert(found[0]) if found else None


def ask_export(wanted: Document) -> str | None:
    """Ask an NFS server whether it answers, and whether it has the exports of our file."""
    paths = re.findall(wanted["pattern"], (read(wanted["file"]) or b"").decode(), re.MULTILINE)
    if not paths:
        return None
    try:
        ask_nfs(wanted["address"], wanted["port"])
    except (OSError, struct.error) as error:
        text = "the NFS server did not answer at {} port {}: {}"
        return text.format(wanted["address"], wanted["port"], error)
    listed = run(wanted["list"]).stdout
    missing = [path for path in paths if not re.search(rf'(^|[\s"]){re.escape(path)}([\s"]|$)', listed)]
    return f"the NFS server does not list {missing[0]} among its exports" if missing else None


def ask_nfs(address: str, port: int) -> None:
    """Call the procedure of NFS that does nothing (RFC 5531); raises OSError or struct.error without an answer."""
    call = struct.pack(">10I", 0x6F78, 0, 2, 100003, 4, 0, 0, 0, 0, 0)
    with socket.create_connection((address, port), ANSWER_SECONDS) as session, session.makefile("rb") as answers:
        session.sendall(struct.pack(">I", 1 << 31 | len(call)) + call)
        _, number, kind, refused = struct.unpack(">4I", answers.read(16))
    # A server without version 4 says so, and answers.
    if (number, kind, refused) != (0x6F78, 1, 0):
        raise OSError("it refused the call")
