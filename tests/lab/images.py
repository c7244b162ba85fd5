"""The images of the lab: for each suite a plain Debian, and the node built on it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, BuildError, ImageNotFound

from tests.lab import state

Progress = Callable[[str], None]

LABEL = "oxlab"
CONTEXT = Path(__file__).parent / "image"
PULL_SECONDS = 300


@dataclass(frozen=True)
class Suite:
    """A release of Debian that nodes are made of."""

    name: str
    registry_image: str
    # What the substitute for the kernel's NFS client needs. Only groupware nodes mount, so one suite has it.
    nfs_client: str = ""

    @property
    def base(self) -> str:
        return f"oxlab-base:{self.name}"


BOOKWORM = Suite("bookworm", "debian:12", nfs_client="libfuse2 libnfs13 python3-fusepy")
TRIXIE = Suite("trixie", "debian:13")
SID = Suite("sid", "debian:sid")
SUITES = (BOOKWORM, TRIXIE, SID)


class ImageError(Exception):
    """An image cannot be made, in one sentence."""


def quiet(message: str) -> None:
    """Show no progress."""


def base_image(client: docker.DockerClient, progress: Progress, suite: Suite = BOOKWORM) -> str:
    """The plain Debian image: pulled, or built from Debian's packages where no registry can be reached."""
    with one_at_a_time():
        if not _exists(client, suite.base) and not _pull(client, suite, progress):
            _bootstrap(client, suite, progress)
    return suite.base


def node_image(client: docker.DockerClient, progress: Progress, suite: Suite = BOOKWORM) -> str:
    """The image of the nodes. Its tag follows the files it is made of, so a change of them builds another."""
    base = base_image(client, progress, suite)
    base_id = str(client.images.get(base).id)
    tag = f"oxlab-node-{suite.name}:{_digest(CONTEXT, base_id, suite.nfs_client)}"
    with one_at_a_time():
        if not _exists(client, tag):
            build_image(client, CONTEXT, tag, progress, buildargs={"BASE": base, "NFS_CLIENT": suite.nfs_client})
            _remove_older(client, tag)
    return tag


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Of labs that come up at the same time, the first one makes the image, and the others find it."""
    state.make_folder()
    lock = os.open(state.TOP / "images.lock", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def build_image(
    client: docker.DockerClient, context: Path, tag: str, progress: Progress, buildargs: dict[str, str]
) -> None:
    """Build a folder with a Dockerfile, and tell each step."""
    stream = client.api.build(
        path=str(context),
        tag=tag,
        buildargs=buildargs,
        labels={LABEL: "1"},
        rm=True,
        forcerm=True,
        decode=True,
    )
    output: list[str] = []
    for message in _messages(stream):
        if "error" in message:
            raise ImageError(f"Building {tag} failed: {message['error']}\n" + "".join(output[-30:]))
        line = str(message.get("stream", ""))
        output.append(line)
        if line.strip():
            progress(f"{tag}: {line.strip().splitlines()[0]}")


def remove_images(client: docker.DockerClient) -> list[str]:
    """Remove every image that the lab made."""
    removed = []
    for image in client.images.list(filters={"label": f"{LABEL}=1"}):
        removed += image.tags
        client.images.remove(str(image.id), force=True)
    for base in (suite.base for suite in SUITES):
        if _exists(client, base):
            removed.append(base)
            client.images.remove(base, force=True)
    return removed


def _remove_older(client: docker.DockerClient, tag: str) -> None:
    """Remove former versions of an image that no container uses any more. Newer ones may be another checkout's."""
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    for image in client.images.list(name=tag.partition(":")[0]):
        if tag not in image.tags and image.attrs["Created"] < yesterday:
            with suppress(APIError):
                client.images.remove(str(image.id))


def _messages(stream: Any) -> Iterable[dict[str, Any]]:
    try:
        yield from stream
    except (APIError, BuildError) as error:
        raise ImageError(f"The Docker engine stopped the build: {error}") from None


def _exists(client: docker.DockerClient, tag: str) -> bool:
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def _pull(client: docker.DockerClient, suite: Suite, progress: Progress) -> bool:
    progress(f"pulling {suite.registry_image}")
    try:
        image = client.images.pull(suite.registry_image)
    except APIError:
        progress("no registry can be reached: building the base image from Debian's packages")
        return False
    image.tag(suite.base)
    return True


def _bootstrap(client: docker.DockerClient, suite: Suite, progress: Progress) -> None:
    if not shutil.which("mmdebstrap"):
        raise ImageError("No registry can be reached and mmdebstrap is not installed: run script/setup first.")
    with tempfile.TemporaryDirectory() as folder:
        tarball = Path(folder) / "base.tar"
        # A mirror may be older than the week for which it says that unstable is valid.
        expired = '--aptopt=Acquire::Check-Valid-Until "false"'
        command = ["mmdebstrap", "--variant=minbase", expired, suite.name, str(tarball)]
        _run(command, progress)
        progress("importing the base image")
        repository, tag = suite.base.split(":")
        client.api.import_image_from_file(str(tarball), repository=repository, tag=tag)


def _run(command: list[str], progress: Progress) -> None:
    output: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            output.append(line)
            progress(f"{command[0]}: {line.strip()}")
    if process.returncode:
        raise ImageError(f"{command[0]} failed:\n" + "".join(output[-30:]))


def _digest(folder: Path, *more: str) -> str:
    """Twelve digits that change with any file of the folder, its mode, or the other values."""
    digest = hashlib.sha256("\0".join(more).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
