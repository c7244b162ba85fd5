"""What tests do with the nodes of a running lab: run commands, switch off, unplug."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

import docker
from docker.errors import APIError
from docker.models.containers import Container

from tests.lab import engine, images, networks, state
from tests.lab.images import Suite
from tests.lab.state import Node


class Result(NamedTuple):
    code: int
    stdout: str
    stderr: str


class CommandFailed(AssertionError):
    """A command that a test relies on failed."""


def exec_in(
    node: str | Node,
    command: str | Sequence[str],
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> Result:
    """Run a command as root in a node: an argument list, or a line for the shell."""
    argv = ["bash", "-c", command] if isinstance(command, str) else list(command)
    names = [option for name in env or {} for option in ("--env", name)]
    process = subprocess.run(
        ["docker", "exec", "-i", *names, _container_name(node), *argv],
        input=input or "",
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        # By name only: a value is in no argument list.
        env={**os.environ, **(env or {})},
        check=False,
    )
    return Result(process.returncode, process.stdout, process.stderr)


def run(node: str | Node, command: str | Sequence[str], input: str | None = None) -> str:
    """Like `exec_in` for a command that has to succeed; returns what it printed."""
    result = exec_in(node, command, input)
    if result.code:
        shown = command if isinstance(command, str) else shlex.join(command)
        raise CommandFailed(
            f"{_container_name(node)}: {shown}: exit code {result.code}\n{result.stdout}{result.stderr}"
        )
    return result.stdout


def start(node: str | Node) -> None:
    """Switch on, and wait until systemd has started everything."""
    container = _container(node)
    container.start()
    engine.wait_until_running(container)


def stop(node: str | Node) -> None:
    """Shut down in good order."""
    _container(node).stop(timeout=30)


def kill(node: str | Node) -> None:
    """Pull the plug."""
    _container(node).kill()


def pause(node: str | Node) -> None:
    """Let it hang: it takes connections, and answers nothing."""
    container = _container(node)
    # "unable to freeze": runc gives up early on a busy machine.
    for _ in range(4):
        with suppress(APIError):
            container.pause()
            return
        time.sleep(0.2)
    container.pause()


def unpause(node: str | Node) -> None:
    _container(node).unpause()


def restart(node: str | Node) -> None:
    stop(node)
    start(node)


def disconnect(node: str | Node) -> None:
    """Pull the network cable."""
    _client().networks.get(networks.NAME).disconnect(_container_name(node))


def reconnect(node: str | Node) -> None:
    """Put the network cable back, with the same address."""
    container = _container(node)
    address = container.labels["oxlab.address"]
    _client().networks.get(networks.NAME).connect(container, ipv4_address=address)


# Several tries in one `docker exec`, which takes more of the machine than most commands.
TRIES = 'for _ in {1..20}; do if said=$(eval "$1"); then echo "$said"; exit; fi; sleep 0.1; done; exit 1'


def wait_for(node: str | Node, command: str, seconds: float = 30) -> str:
    """Run a shell line until it succeeds."""
    deadline = time.monotonic() + seconds
    while True:
        result = exec_in(node, ["bash", "-c", TRIES, "wait", command])
        if result.code == 0:
            return result.stdout
        if time.monotonic() > deadline:
            raise CommandFailed(f"{_container_name(node)}: not within {seconds} seconds: {command}\n{result.stderr}")
        time.sleep(0.2)


@contextmanager
def scratch_nodes(number: int, suite: Suite = images.BOOKWORM) -> Iterator[list[Node]]:
    """Bare nodes beside the lab's own, in no inventory group, that are removed at the end."""
    client = engine.connect()
    wanted = [engine.scratch(n, suite) for n in range(1, number + 1)]
    try:
        engine.add_nodes(client, wanted, images.quiet)
        yield [engine.node(engine.containers(client)[wish.name]) for wish in wanted]
    finally:
        for wish in wanted:
            engine.remove_node(client, wish.name)


def node(name: str) -> Node:
    return state.load().nodes[name]


def _client() -> docker.DockerClient:
    return engine.connect()


def _container(node: str | Node) -> Container:
    return _client().containers.get(_container_name(node))


def _container_name(node: str | Node) -> str:
    return node.container if isinstance(node, Node) else engine.PREFIX + node
