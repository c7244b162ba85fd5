"""A throw-away host with MariaDB and stand-in packages, to compare these with the reference."""

from __future__ import annotations

import io
import shlex
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import docker
from docker.models.containers import Container

from tests.lab import engine, images
from tests.lab.images import LABEL, Progress
from tests.lab.ox6 import build

LABELS = {LABEL: "1"}
USER, PASSWORD = "trial", "Trial-Passw0rd"
KEYRING = "/usr/share/keyrings/open-xchange.asc"
AT_ONCE = 8  # most of a tool's time is spent sleeping, as a Java machine's start


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


class Host:
    """A running container."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def run(self, command: str, **environment: str) -> Result:
        """Run a shell command."""
        code, output = self._container.exec_run(["bash", "-c", command], environment=environment, demux=True)
        streams = cast("tuple[bytes | None, bytes | None]", output)
        out, err = (part.decode() if part else "" for part in streams)
        return Result(code or 0, out, err)

    def must(self, command: str, **environment: str) -> str:
        result = self.run(command, **environment)
        assert result.code == 0, f"{command}: {result}"
        return result.out

    def at_once(self, commands: list[str]) -> list[Result]:
        """Run commands that have nothing to do with each other."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self.run, commands))

    def sql(self, statement: str) -> list[list[str]]:
        """The rows of a statement, or of many."""
        out = self.must(f"mysql --batch --skip-column-names -e {shlex.quote(statement)}")
        return [line.split("\t") for line in out.splitlines()]

    def read(self, path: str) -> str:
        return self.must(f"cat {shlex.quote(path)}")

    def write(self, path: str, content: str) -> None:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content.encode()), 0o644
            tar.addfile(entry, io.BytesIO(content.encode()))
        self._container.put_archive("/", archive.getvalue())


@contextmanager
def trial_host(client: docker.DockerClient, progress: Progress) -> Iterator[Host]:
    """A plain node that knows the package repository. Nothing is installed."""
    repository = build.build(client, images.base_image(client, progress), progress)
    node = images.node_image(client, progress)
    started: list[Container] = []
    try:
        started.append(
            client.containers.run(
                repository,
                labels=LABELS,
                detach=True,
                init=True,
                environment={"REPO_USER": USER, "REPO_PASSWORD": PASSWORD},
            )
        )
        started.append(_start_node(client, node))
        host = Host(started[1])
        _add_repository(host, started[0], build.public_key(client, repository))
        yield host
    finally:
        for container in started:
            container.remove(force=True, v=True)


def _start_node(client: docker.DockerClient, image: str) -> Container:
    container = client.containers.run(
        image,
        hostname="oxgw01",
        labels=LABELS,
        detach=True,
        cap_add=["ALL"],
        cap_drop=["SYS_RESOURCE"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        cgroupns="private",
        tmpfs={"/run": "", "/run/lock": ""},
        environment={"container": "docker"},
        stop_signal="SIGRTMIN+3",
    )
    engine.wait_until_running(container)
    return container


def _add_repository(host: Host, repository: Container, key: str) -> None:
    repository.reload()
    address = next(iter(repository.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
    host.write(KEYRING, key)
    host.write("/etc/apt/sources.list.d/ox.list", f"deb [signed-by={KEYRING}] http://{address}/ ./\n")
    host.write("/etc/apt/auth.conf.d/ox.conf", f"machine http://{address}/ login {USER} password {PASSWORD}\n")
    host.must("chmod 600 /etc/apt/auth.conf.d/ox.conf; chown _apt /etc/apt/auth.conf.d/ox.conf; apt-get update -q")


def install(host: Host, *packages: str) -> None:
    names = " ".join(packages)
    host.must(f"apt-get install -qq --no-install-recommends {names}", DEBIAN_FRONTEND="noninteractive")
