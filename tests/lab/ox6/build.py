"""The vendor's package repository as a Docker image: stand-in OX 6.10 packages, signed, behind a password.

The container serves a flat repository on port 80, to the account given in REPO_USER and REPO_PASSWORD.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import ImageNotFound

from tests.lab.images import LABEL, ImageError, Progress, one_at_a_time

FOLDER = Path(__file__).parent
VERSION = "6.10.0-1"
INPUTS = ("Dockerfile", "packages.list", "repository", "packages", "webapp", "cachemesh")
BUILD_DEPENDS = FOLDER / "webapp/build-depends"
KEY = "/srv/repo/key.asc"


def build(client: docker.DockerClient, base_image: str, progress: Progress, version: str = VERSION) -> str:
    """The tag of the repository image, built when one of its inputs changed."""
    context = _context()
    base_id = str(client.images.get(base_image).id)
    digest = hashlib.sha256(b"\0".join([context, base_id.encode(), version.encode()])).hexdigest()
    tag = f"oxlab-repo:{digest[:12]}"
    with one_at_a_time():
        if not _exists(client, tag):
            arguments = {"BASE": base_image, "VERSION": version, "COMPILER": _compiler()}
            _build(client, context, tag, arguments, progress)
    return tag


def public_key(client: docker.DockerClient, image: str) -> str:
    """The armoured key that the packages of an image are signed with."""
    container = client.containers.create(image, labels={LABEL: "1"})
    try:
        stream, _ = container.get_archive(KEY)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            member = archive.extractfile(Path(KEY).name)
            return member.read().decode("ascii") if member else ""
    finally:
        container.remove()


def _compiler() -> str:
    """What the build image needs to compile the groupware daemon."""
    return " ".join(BUILD_DEPENDS.read_text().split()) if BUILD_DEPENDS.is_file() else ""


def _context() -> bytes:
    """The build's files as an archive that depends on nothing but their content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in INPUTS:
            for path in _files(FOLDER / name):
                archive.addfile(*_entry(path))
    return buffer.getvalue()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    yield path  # also when there is none yet: the Dockerfile copies the folder
    for child in sorted(path.rglob("*")):
        if not any(part == "__pycache__" or part.startswith(".") for part in child.relative_to(path).parts):
            yield child


def _entry(path: Path) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    entry = tarfile.TarInfo(str(path.relative_to(FOLDER)))
    if path.is_symlink():
        entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
        return entry, None
    if not path.is_file():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        return entry, None
    content = path.read_bytes()
    entry.size = len(content)
    entry.mode = 0o755 if content.startswith(b"#!") else 0o644
    return entry, io.BytesIO(content)


def _build(
    client: docker.DockerClient, context: bytes, tag: str, arguments: dict[str, str], progress: Progress
) -> None:
    stream = client.api.build(
        fileobj=io.BytesIO(context),
        custom_context=True,
        tag=tag,
        buildargs=arguments,
        rm=True,
        forcerm=True,
        decode=True,
    )
    output: list[str] = []
    message: dict[str, Any]
    for message in stream:
        if "error" in message:
            raise ImageError(f"Building {tag} failed: {message['error']}\n" + "".join(output[-30:]))
        line = str(message.get("stream", ""))
        output.append(line)
        if line.strip():
            progress(f"{tag}: {line.strip().splitlines()[0]}")


def _exists(client: docker.DockerClient, tag: str) -> bool:
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True
