"""Ask a groupware daemon as the balancer does: by AJP 1.3, for the login of somebody who does not exist.

The daemon has to look for the context in configdb and for the user in the context's database before it can say that
it does not know them. Nobody's password is needed, and nobody is locked out.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import struct
import urllib.parse
from typing import IO

REQUEST, BODY_CHUNK, HEADERS, END, GET_BODY = 2, 3, 4, 5, 6
POST, HOST_HEADER, TYPE_HEADER, LENGTH_HEADER = 4, 0xA00B, 0xA007, 0xA008
QUERY_ATTRIBUTE, ROUTE_END = 5, 0xFF
LOGIN_ANSWER_SECONDS = 10
# What Open-Xchange says of a user's mistake, be it by its code (invalid credentials) or by its category. Other codes of
# the login are its own trouble, such as a missing service or database.
INVALID_CREDENTIALS, USER_INPUT = "LGI-0006", 1


def login_problem(port: int, context: str | None) -> str | None:
    """Try a login in a context (None: the default one) at this host's daemon; return what is wrong, or None."""
    name = "ox-deploy-" + secrets.token_hex(8) + ("@" + context if context else "")
    form = urllib.parse.urlencode({"name": name, "password": secrets.token_hex(16)}).encode()
    try:
        status, body = ajp_post(port, "/ajax/login", "action=login", form)
    except (OSError, EOFError, struct.error) as error:
        return "it does not answer over AJP: {}".format(error or "it closed the connection")
    if status != http.client.OK:
        return f"a login is answered with {status}"
    try:
        answer = json.loads(body)
        works = answer["code"] == INVALID_CREDENTIALS or answer.get("category") == USER_INPUT
    except (ValueError, KeyError, TypeError, AttributeError):
        return "a login is answered by something other than Open-Xchange"
    return None if works else "a login is answered with {}: {}".format(answer["code"], answer.get("error", ""))


def ajp_post(port: int, path: str, query: str, form: bytes) -> tuple[int, str]:
    """Send a form; return status and text of the answer."""
    with socket.create_connection(("127.0.0.1", port), LOGIN_ANSWER_SECONDS) as connection:
        connection.sendall(packet(request(path, query, len(form))) + packet(word(len(form)) + form))
        status, body = 0, b""
        with connection.makefile("rb") as answers:
            while True:
                _magic, length = struct.unpack(">2sH", exactly(answers, 4))
                content = exactly(answers, length)
                if content[0] == HEADERS:
                    (status,) = struct.unpack(">H", content[1:3])
                elif content[0] == BODY_CHUNK:
                    (size,) = struct.unpack(">H", content[1:3])
                    body += content[3 : 3 + size]
                elif content[0] == GET_BODY:
                    connection.sendall(packet(b""))
                elif content[0] == END:
                    return status, body.decode(errors="replace")


def request(path: str, query: str, length: int) -> bytes:
    """Return the packet that begins a request."""
    headers = [(HOST_HEADER, "localhost"), (TYPE_HEADER, "application/x-www-form-urlencoded")]
    headers.append((LENGTH_HEADER, str(length)))
    return b"".join(
        [
            bytes([REQUEST, POST]),
            *map(text, ["HTTP/1.1", path, "127.0.0.1", "localhost", "localhost"]),
            word(443) + b"\x01",
            word(len(headers)),
            *(word(name) + text(value) for name, value in headers),
            bytes([QUERY_ATTRIBUTE]) + text(query),
            bytes([ROUTE_END]),
        ]
    )


def packet(content: bytes) -> bytes:
    """Return a packet to the daemon."""
    return b"\x12\x34" + word(len(content)) + content


def word(number: int) -> bytes:
    """Return a number of two bytes."""
    return struct.pack(">H", number)


def text(value: str) -> bytes:
    """Return a string as AJP has it."""
    return word(len(value)) + value.encode() + b"\0"


def exactly(answers: IO[bytes], length: int) -> bytes:
    """Return so many bytes of an answer."""
    content = answers.read(length)
    if len(content) < length:
        raise EOFError("it closed the connection")
    return content
