"""A login by AJP, at daemons that answer well, badly, or not at all."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ox_deploy.remote.ox6 import ajp as ox6_ajp
from ox_deploy.remote.ox6 import start as ox6_start
from tests.unit.programs import under_test

REFUSED = {"code": "LGI-0006", "category": 1, "error": "Invalid credentials."}


def packet(content: bytes) -> bytes:
    return b"AB" + struct.pack(">H", len(content)) + content


def answer(status: int, body: bytes) -> bytes:
    """What a daemon sends: it asks for more of the body first, then answers in two chunks."""
    headers = b"\x04" + struct.pack(">H", status) + b"\x00\x02OK\x00" + b"\x00\x00"
    chunks = b"".join(packet(b"\x03" + struct.pack(">H", len(part)) + part + b"\x00") for part in (body[:5], body[5:]))
    return packet(b"\x06\x00\x10") + packet(headers) + chunks + packet(b"\x05\x01")


@contextmanager
def daemon(said: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A daemon that says this; yields its port and what it got."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                got.append(connection.recv(10000))
                connection.sendall(said)
                connection.shutdown(socket.SHUT_WR)
                while more := connection.recv(10000):
                    got.append(more)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], got
        thread.join()


def problem(said: bytes, context: str | None = "example.com") -> str | None:
    with daemon(said) as (port, _):
        found: str | None = ox6_ajp.login_problem(port, context)
        return found


@pytest.mark.parametrize("said", [REFUSED, REFUSED | {"code": "USR-0010"}, {"code": "LGI-0006"}])
def test_answer_of_the_product_works(said: dict[str, Any]) -> None:
    assert problem(answer(200, json.dumps(said).encode())) is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer(503, b"busy"), "a login is answered with 503"),
        (answer(404, b"nothing here"), "a login is answered with 404"),
        (answer(200, b"<html>hello"), "a login is answered by something other than Open-Xchange"),
        (answer(200, b"[]"), "a login is answered by something other than Open-Xchange"),
        (answer(200, b"{}"), "a login is answered by something other than Open-Xchange"),
        (
            answer(200, b'{"code": "DBP-0001", "category": 5, "error": "No database."}'),
            "a login is answered with DBP-0001: No database.",
        ),
        (
            answer(200, b'{"code": "LGI-0010", "category": 5, "error": "Database down."}'),
            "a login is answered with LGI-0010: Database down.",
        ),
        (answer(200, json.dumps(REFUSED).encode())[:-9], "it does not answer over AJP: it closed the connection"),
        (b"", "it does not answer over AJP: it closed the connection"),
    ],
)
def test_what_is_wrong_is_said(said: bytes, words: str) -> None:
    assert problem(said) == words


def test_port_that_nobody_listens_on_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert str(ox6_ajp.login_problem(port, None)).startswith("it does not answer over AJP: ")


def test_somebody_who_does_not_exist_logs_in_at_an_existing_context() -> None:
    program = under_test(ox6_start)
    with daemon(answer(200, json.dumps(REFUSED).encode())) as (port, got):
        program.login_problem(port, "example.com")
    sent = b"".join(got)
    assert sent.startswith(b"\x12\x34")
    assert b"/ajax/login\x00" in sent
    assert b"action=login\x00" in sent
    assert b"name=ox-deploy-" in sent
    assert b"%40example.com&password=" in sent
    # The daemon asked for more of the form, of which there is none.
    assert sent.endswith(b"\x12\x34\x00\x00")
