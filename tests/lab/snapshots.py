"""Snapshots: a cluster that was deployed once is kept as Docker images, and given back in seconds.

A snapshot has an image for each node, with the content of the node's volume in it, and one with the lab's own files
(keys, passwords, certificate). Its key is a digest of all that made it, so a stale one is never found. A deployed
cluster knows its addresses by heart; so a snapshot comes back in the subnet in which it was made.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.networks import Network

from tests.lab import engine, keys, networks, ready, state
from tests.lab.engine import LabError, Wish
from tests.lab.images import LABEL, Progress
from tests.lab.state import State

REPOSITORY = "oxlab-snapshot"
FOLDER_IMAGE = "folder"
# All that a deployed cluster is made of, beside the images of its nodes.
SOURCES = ("ox_deploy", "templates", "deploy.py", "config.py", "group_data", "tests/lab")
LIBRARIES = ("pyinfra", "jinja2", "pydantic", "libpass", "cryptography")
MOST_SNAPSHOTS = 8
SUBNET_TRIES = 4
DEPLOY = ("-m", "pyinfra", "-y", "tests/lab/inventory.py", "deploy.py")
DEPLOY_SECONDS = 600
# Keeps where `boot` finds it: the content of the volume, without what is mounted in it, and the file in whose place
# Docker puts its own when it makes a container.
KEEP_VOLUME = """
set -e
apt-get clean
install -d -m 700 /var/lib/oxlab /run/volume
mount --bind /var/opt /run/volume
cp -p /etc/hosts /var/lib/oxlab/
cd /run/volume
tar --numeric-owner -cf /var/lib/oxlab/volume.tar .
find . -exec lsattr -d {} + | sed -n 's/^[^ ]*i[^ ]* //p' > /var/lib/oxlab/immutable
cd /
umount /run/volume
"""
FILES = (
    state.SSH_KEY,
    state.REPO_CREDENTIALS,
    state.REPO_KEY,
    state.TLS_CERTIFICATE,
    state.TLS_KEY,
    state.SECRETS,
)


@dataclass
class Snapshot:
    """Images of one cluster by the name of the node; `bytes` is what they take beside the image they are made from."""

    key: str
    subnet: str
    images: dict[str, str] = field(default_factory=dict)
    bytes: int = 0
    created: str = ""

    @property
    def nodes(self) -> list[str]:
        return sorted(name for name in self.images if name != FOLDER_IMAGE)

    @property
    def is_whole(self) -> bool:
        """The image of the lab's files is made last."""
        return FOLDER_IMAGE in self.images


def deployed(client: docker.DockerClient, wanted: Sequence[Wish], progress: Progress) -> State:
    """Replace the lab by a deployed cluster of these nodes: from a snapshot, which is made if there is none."""
    state.make_folder()
    key = key_of(client, wanted, progress)
    found = _choose(client, fitting(find(client), key)) or _choose(client, [_make(client, key, wanted, progress)])
    if not found:
        raise LabError("Another network took the subnet in which the snapshot was made: try again.")
    snapshot, network = found
    return _restore(client, snapshot, network, wanted, progress)


def _choose(client: docker.DockerClient, snapshots: Sequence[Snapshot]) -> tuple[Snapshot, Network] | None:
    """The first snapshot whose subnet is free, with the lab's network in it."""
    for _ in range(SUBNET_TRIES if snapshots else 0):
        for snapshot in snapshots:
            network = _network(client, snapshot.subnet)
            if network:
                return snapshot, network
        # A lab that comes up beside this one holds subnets for a moment while it looks for a free one.
        time.sleep(0.5)
    return None


def find(client: docker.DockerClient) -> list[Snapshot]:
    """All snapshots, also those that were not completed."""
    found: dict[tuple[str, str], Snapshot] = {}
    # Not the client's objects: it would ask for each image once more, and fail for one that is just being removed.
    for image in client.api.images(filters={"label": "oxlab.snapshot"}):
        labels, number = image["Labels"], str(image["Id"])
        key, subnet = labels["oxlab.snapshot"], labels["oxlab.subnet"]
        snapshot = found.setdefault((key, subnet), Snapshot(key, subnet))
        snapshot.images[labels["oxlab.name"]] = number
        snapshot.bytes += _own_bytes(client, number)
        snapshot.created = max(snapshot.created, datetime.fromtimestamp(image["Created"], UTC).isoformat())
    return list(found.values())


def _own_bytes(client: docker.DockerClient, image: str) -> int:
    """The size of the layer that the snapshot added."""
    with suppress(NotFound):
        return int(client.api.history(image)[0]["Size"])
    return 0


def fitting(snapshots: Iterable[Snapshot], key: str) -> list[Snapshot]:
    """The complete snapshots with this key, the newest first."""
    found = [snapshot for snapshot in snapshots if snapshot.key == key and snapshot.is_whole]
    return sorted(found, key=lambda snapshot: snapshot.created, reverse=True)


def key_of(client: docker.DockerClient, wanted: Sequence[Wish], progress: Progress) -> str:
    """Twelve digits that change with anything that a deployed cluster of these nodes is made of."""
    made_of = engine.node_images(client, wanted, progress)
    repository = engine.repo_image(client, progress) or ""
    facts = [repository, *sorted(made_of.values()), *(f"{name} {version(name)}" for name in LIBRARIES)]
    facts += [repr(wish) for wish in sorted(wanted, key=lambda wish: wish.name)]
    return digest_of(facts, sources())


def digest_of(facts: Iterable[str], files: Iterable[Path]) -> str:
    """Twelve digits that change with any of these texts, and with name, content or executability of any file."""
    digest = hashlib.sha256("\0".join(facts).encode())
    for path in files:
        digest.update(f"\0{path.relative_to(state.ROOT)}\0{path.stat().st_mode & 0o111}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def sources() -> list[Path]:
    """The files that make a deployed cluster what it is."""
    found = []
    for name in SOURCES:
        top = state.ROOT / name
        found += [top] if top.is_file() else [path for path in top.rglob("*") if path.is_file()]
    return sorted(path for path in found if "__pycache__" not in path.parts)


def _network(client: docker.DockerClient, subnet: str) -> Network | None:
    """The lab's network, replaced by one with this subnet if it has another; None if that subnet is taken."""
    engine.remove_nodes(client)
    own = networks.find(client)
    if own and networks.subnet_of(own) == subnet:
        return own
    if own:
        own.remove()
    with suppress(APIError):
        return networks.create(client, subnet)
    return None


def _make(client: docker.DockerClient, key: str, wanted: Sequence[Wish], progress: Progress) -> Snapshot:
    """Deploy to bare nodes, and keep them."""
    _prune(client, key)
    engine.down(client)
    current = engine.up(client, list(wanted), progress)
    progress("deploying, once for all that come after")
    deploy()
    _keep(client, key, current, progress)
    return next(snapshot for snapshot in find(client) if (snapshot.key, snapshot.subnet) == (key, current.network))


def keep_first(client: docker.DockerClient, wanted: Sequence[Wish], progress: Progress) -> bool:
    """Make the snapshot from the lab as it is, just deployed. Returns False, and does nothing, where there is one."""
    key = key_of(client, wanted, progress)
    if fitting(find(client), key):
        return False
    _prune(client, key)
    _keep(client, key, state.load(), progress)
    return True


def _keep(client: docker.DockerClient, key: str, current: State, progress: Progress) -> None:
    """Stop the nodes in good order, and keep them as a snapshot."""
    found = {name: container for name, container in engine.containers(client).items() if name in current.nodes}
    progress("keeping the nodes as a snapshot")
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda container: _must(container, KEEP_VOLUME), found.values()))
        list(pool.map(lambda container: container.stop(timeout=60), found.values()))
        list(pool.map(lambda name: _commit(found[name], key, current.network, name), found))
    _commit_folder(client, key, current.network)


def deploy() -> None:
    """Deploy to the lab. An installation that failed in a package's own script is tried once more, and told."""
    for attempt in (1, 2):
        argv = [sys.executable, *DEPLOY]
        done = subprocess.run(
            argv, cwd=state.ROOT, capture_output=True, text=True, timeout=DEPLOY_SECONDS, stdin=subprocess.DEVNULL
        )
        if done.returncode == 0:
            return
        if attempt == 1 and "Sub-process /usr/bin/dpkg returned an error code" in done.stdout + done.stderr:
            print("A package could not be installed, the deploy is run again.", file=sys.stderr)
            continue
        raise LabError(f"The deploy failed:\n{(done.stdout + done.stderr)[-5000:]}")


def _must(container: Container, script: str) -> None:
    code, output = container.exec_run(["sh", "-c", script])
    if code:
        raise LabError(f"{container.name}: {output.decode(errors='replace') if isinstance(output, bytes) else output}")


def _tag(key: str, subnet: str, name: str) -> str:
    return f"{key}-{re.sub('[^0-9.]', '-', subnet)}-{name}"


def _label_changes(key: str, subnet: str, name: str) -> list[str]:
    return [f"LABEL {LABEL}=1", f"LABEL oxlab.snapshot={key} oxlab.subnet={subnet} oxlab.name={name}"]


def _commit(container: Container, key: str, subnet: str, name: str) -> None:
    container.commit(REPOSITORY, _tag(key, subnet, name), changes=_label_changes(key, subnet, name))


def _commit_folder(client: docker.DockerClient, key: str, subnet: str) -> None:
    """Keep the lab's own files in an image, too, so that they go with the nodes."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in FILES:
            tar.add(path, f"{FOLDER_IMAGE}/{path.name}")
    client.api.import_image_from_data(
        archive.getvalue(),
        repository=REPOSITORY,
        tag=_tag(key, subnet, FOLDER_IMAGE),
        changes=_label_changes(key, subnet, FOLDER_IMAGE),
    )


def _restore(
    client: docker.DockerClient, snapshot: Snapshot, network: Network, wanted: Sequence[Wish], progress: Progress
) -> State:
    _restore_folder(client, snapshot)
    public_key = keys.ssh_public_key()

    def node(wish: Wish) -> None:
        container = engine.create_node(client, snapshot.images[wish.name], network, wish, public_key)
        engine.start(container, progress)

    with ThreadPoolExecutor(max_workers=8) as pool:
        repo = pool.submit(engine.ensure_repo, client, network, progress)
        # The others log in and mount there as soon as they run.
        first = sorted(wanted, key=lambda wish: wish.role not in ("db_master", "filestore"))
        list(pool.map(node, first))
        repo.result()
    current = engine.refresh(client)
    ready.wait(current)
    return current


def _restore_folder(client: docker.DockerClient, snapshot: Snapshot) -> None:
    image = snapshot.images[FOLDER_IMAGE]
    container = client.containers.create(image, ["none"], labels={LABEL: "1"})
    try:
        stream, _ = container.get_archive(f"/{FOLDER_IMAGE}")
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
            for path in FILES:
                member = tar.extractfile(f"{FOLDER_IMAGE}/{path.name}")
                assert member
                state.write_private(path, member.read().decode())
    finally:
        container.remove()


def _prune(client: docker.DockerClient, key: str) -> None:
    """Make room for one more."""
    for snapshot in superfluous(find(client), key, datetime.now(UTC)):
        remove(client, snapshot)


def superfluous(snapshots: Iterable[Snapshot], key: str, now: datetime) -> list[Snapshot]:
    """What is to be removed before one more is made: broken off, of earlier code, the oldest of too many."""
    yesterday, hour_ago = ((now - ago).isoformat() for ago in (timedelta(days=1), timedelta(hours=1)))
    useful = [
        snapshot
        for snapshot in sorted(snapshots, key=lambda snapshot: snapshot.created, reverse=True)
        if (snapshot.is_whole and snapshot.key == key)
        or snapshot.created > (yesterday if snapshot.is_whole else hour_ago)
    ]
    return [snapshot for snapshot in snapshots if snapshot not in useful[: MOST_SNAPSHOTS - 1]]


def remove(client: docker.DockerClient, snapshot: Snapshot) -> None:
    """Remove the images of a snapshot that no container uses."""
    for image in snapshot.images.values():
        with suppress(APIError):
            client.images.remove(image)
