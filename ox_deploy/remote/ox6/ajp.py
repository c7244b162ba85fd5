"""Ask a groupware daemon as the balancer does: by AJP 1.3."""

from __future__ import annotations

import socket
import struct
from typing import IO

from ox_deploy.remote.daemons.login import PATH, QUERY, form_of_nobody, problem_in

REQUEST, BODY_CHUNK, HEADERS, END, GET_BODY = 2, 3, 4, 5, 6
POST, HOST_HEADER, TYPE_HEADER, LENGTH_HEADER = 4, 0xA00B, 0xA007, 0xA008
QUERY_ATTRIBUTE, ROUTE_END = 5, 0xFF
ANSWER_SECONDS = 10


def login_problem(port: int, context: str | None) -> str | None:
    """Try a login in a context (None: the default one) at this host's daemon; return what is wrong, or None."""
    try:
        status, body = ajp_post(port, PATH, QUERY, form_of_nobody(context))
    except (OSError, EOFError, struct.error) as error:
        return "it does not answer over AJP: {}".format(error or "it closed the connection")
    return problem_in(status, body)


def ajp_post(port: int, path: str, query: str, form: bytes) -> tuple[int, str]:
    """Send a form; return status and text of the answer."""
    with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as connection:
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
