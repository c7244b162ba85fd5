"""Starts and removes the lab. Docker's labels are the truth; the folder `.lab` is written from them."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.models.networks import Network
from docker.models.volumes import Volume

from tests.lab import images, keys, networks, state
from tests.lab.images import Progress, Suite
from tests.lab.networks import FILTER, LABELS
from tests.lab.state import Node, State

PREFIX = f"{state.NAME}-"
BOOT_SECONDS = 90
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"

# The last number of an address. Each kind has its own range, so that added nodes never move others.
REPO_NUMBER = 2
NUMBERS = {"web": 10, "db_master": 20, "filestore": 30, "stranger": 31, "db_slave": 40, "groupware": 100}
SCRATCH_NUMBER = 230
MOST_SLAVES = 50
MOST_GROUPWARE = 120

# What Debian has as its database server, and where. Only the hosts of these roles are made of that suite.
DATABASES = {"mariadb-10.11": images.BOOKWORM, "mariadb-11.8": images.TRIXIE, "mysql-9.7": images.SID}
USUAL_DATABASE = "mariadb-10.11"
DATABASE_ROLES = ("db_master", "db_slave")


class LabError(Exception):
    """The lab cannot do what was asked, in one sentence."""


@dataclass(frozen=True)
class Wish:
    """A node that should be there."""

    name: str
    role: str
    number: int
    suite: Suite = images.BOOKWORM
    database: str = ""


def connect() -> docker.DockerClient:
    try:
        return docker.from_env(timeout=120)
    except DockerException:
        raise LabError("The Docker engine does not answer: run script/setup, or start it.") from None


def wishes(
    groupware: int = 2,
    slaves: int = 1,
    filestore: bool = False,
    stranger: bool = False,
    database: str = USUAL_DATABASE,
) -> list[Wish]:
    """The nodes of a lab of this size."""
    if not (1 <= groupware <= MOST_GROUPWARE and 0 <= slaves <= MOST_SLAVES):
        raise LabError(f"A lab has 1 to {MOST_GROUPWARE} groupware nodes and 0 to {MOST_SLAVES} replicas.")
    names = [("web", "web", 0), ("dbmaster", "db_master", 0)]
    names += [(f"oxgw{n:02}", "groupware", n) for n in range(1, groupware + 1)]
    names += [("dbslave" if n == 1 else f"dbslave{n}", "db_slave", n) for n in range(1, slaves + 1)]
    names += [(role, role, 0) for role, wanted in (("filestore", filestore), ("stranger", stranger)) if wanted]
    return [_wish(name, role, NUMBERS[role] + n, database) for name, role, n in names]


def _wish(name: str, role: str, number: int, database: str) -> Wish:
    if role in DATABASE_ROLES:
        return Wish(name, role, number, DATABASES[database], database)
    return Wish(name, role, number)


def scratch(number: int, suite: Suite = images.BOOKWORM) -> Wish:
    """A node that a test makes for itself and removes again. It is in no group."""
    return Wish(f"scratch{number}", "scratch", SCRATCH_NUMBER + number, suite)


def choose_database(client: docker.DockerClient, wanted: str | None) -> str:
    """The kind of database server that further nodes get: that of the lab that is up, if there is one."""
    there = _database_there(containers(client))
    if wanted and there and wanted != there:
        raise LabError(f"The database hosts of the lab that is up are for {there}: take it down to have {wanted}.")
    return there or wanted or USUAL_DATABASE


def _database_there(found: dict[str, Container]) -> str | None:
    return next((kind for container in found.values() if (kind := container.labels.get("oxlab.database"))), None)


def up(client: docker.DockerClient, wanted: list[Wish], progress: Progress) -> State:
    """Bring up what is missing of these nodes, and leave the rest as it is."""
    state.make_folder()
    made_of = node_images(client, wanted, progress)
    network = networks.ensure(client)
    with ThreadPoolExecutor(max_workers=2) as pool:
        repo = pool.submit(ensure_repo, client, network, progress)
        _add(client, made_of, network, wanted, progress)
        refresh(client)
        repo.result()
    return refresh(client)


def add_nodes(client: docker.DockerClient, wanted: list[Wish], progress: Progress) -> None:
    """Add nodes to a lab that is up, without telling the inventory."""
    _add(client, node_images(client, wanted, progress), networks.ensure(client), wanted, progress)


def remove_node(client: docker.DockerClient, name: str) -> None:
    """Remove a node and its volume."""
    container = containers(client).get(name)
    if container:
        _remove(container)
    with suppress(NotFound):
        _remove_volume(client, client.volumes.get(_volume_name(name)))


def _remove_volume(client: docker.DockerClient, volume: Volume) -> None:
    """Remove a volume, also one in which the deployment made a mount point immutable."""
    try:
        volume.remove(force=True)
    except APIError:
        image = images.node_image(client, images.quiet)
        client.containers.run(
            image,
            ["chattr", "-R", "-f", "-i", "/volume"],
            volumes={volume.name: {"bind": "/volume"}},
            cap_add=["LINUX_IMMUTABLE"],
            remove=True,
        )
        volume.remove(force=True)


def node_images(client: docker.DockerClient, wanted: Sequence[Wish], progress: Progress) -> dict[Suite, str]:
    """The images that these nodes are made of."""
    return {suite: images.node_image(client, progress, suite) for suite in {wish.suite for wish in wanted}}


def _add(
    client: docker.DockerClient, made_of: dict[Suite, str], network: Network, wanted: list[Wish], progress: Progress
) -> None:
    public_key = keys.ssh_public_key()
    there = containers(client)
    missing = [wish for wish in wanted if wish.name not in there]
    with ThreadPoolExecutor(max_workers=8) as pool:
        made = pool.map(lambda wish: create_node(client, made_of[wish.suite], network, wish, public_key), missing)
        nodes = [container for name, container in there.items() if name != "repo"] + list(made)
        list(pool.map(lambda container: start(container, progress), nodes))


def refresh(client: docker.DockerClient) -> State:
    """Write the folder `.lab` from what runs."""
    network = networks.ensure(client)
    found = containers(client)
    repo = found.pop("repo", None)
    found = {name: container for name, container in found.items() if container.labels["oxlab.role"] != "scratch"}
    nodes = {name: node(container) for name, container in sorted(found.items())}
    database = _database_there(found) or USUAL_DATABASE
    current = State(nodes, str(networks.addresses(network)), database, _address(repo) if repo else None)
    state.save(current)
    keys.ensure_passwords()
    keys.ensure_certificate(node.address for node in current.with_role("web"))
    _save_known_hosts(found)
    return current


def down(client: docker.DockerClient) -> list[str]:
    """Remove all containers, volumes and networks of the lab, and what the folder `.lab` says about them."""
    removed = remove_nodes(client)
    for network in client.networks.list(filters=FILTER):
        network.remove()
        removed.append(str(network.name))
    for path in (state.STATE_FILE, state.KNOWN_HOSTS, state.REPO_KEY):
        path.unlink(missing_ok=True)
    return removed


def remove_nodes(client: docker.DockerClient) -> list[str]:
    """Remove all containers and volumes of the lab."""
    found = list(containers(client).values())
    volumes = client.volumes.list(filters=FILTER)
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(_remove, found))
        list(pool.map(lambda volume: _remove_volume(client, volume), volumes))
    return [str(container.name) for container in found] + [str(volume.name) for volume in volumes]


def start(container: Container, progress: Progress) -> None:
    """Start a node and wait until systemd has started everything. A running one is left alone."""
    container.reload()
    if status_of(container) in ("running", "degraded", "maintenance"):
        return
    container.start()
    wait_until_running(container)
    progress(f"{container.name} is running")


def wait_until_running(container: Container) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        status = _system_status(container)
        if status == "running":
            return
        if status == "degraded":
            failed = _output(container, "systemctl", "--failed", "--no-legend", "--plain")
            raise LabError(f"{container.name} has started, but units failed: {' '.join(failed.split())}")
        time.sleep(0.2)
    raise LabError(f"{container.name} has not started within {BOOT_SECONDS} seconds (last: {status}).")


def status_of(container: Container) -> str:
    """What Docker says about a container, or systemd where a node runs."""
    if container.status != "running" or container.labels["oxlab.role"] == "repo":
        return str(container.status)
    return _output(container, "systemctl", "is-system-running")


def _output(container: Container, *command: str) -> str:
    output = container.exec_run(list(command)).output
    return output.decode(errors="replace").strip() if isinstance(output, bytes) else ""


def _system_status(container: Container) -> str:
    try:
        return _output(container, "systemctl", "is-system-running", "--wait")
    except APIError as error:
        container.reload()
        if container.status != "running":
            log = container.logs(tail=5).decode(errors="replace").strip()
            raise LabError(f"{container.name} stopped while starting: {log or error}") from None
        return "not reachable"


def containers(client: docker.DockerClient) -> dict[str, Container]:
    """All containers of the lab by the plain name of their host. Raises LabError if they are another checkout's."""
    found = client.containers.list(all=True, filters=FILTER, ignore_removed=True)
    for container in found:
        checkout = container.labels.get("oxlab.checkout", "")
        if checkout and checkout != str(state.ROOT) and Path(checkout, "tests", "lab").is_dir():
            raise LabError(
                f"A lab of the name {state.NAME} is up that belongs to {checkout}: take it down there with "
                f"`script/demo down`, or have another one here with `OXLAB=NAME` in the environment."
            )
    return {container.labels["oxlab.name"]: container for container in found}


def node(container: Container) -> Node:
    labels = container.labels
    return Node(labels["oxlab.name"], labels["oxlab.role"], _address(container), str(container.name))


def _address(container: Container) -> str:
    """The address that the container was made with; it is known while the container is stopped, too."""
    return str(container.labels["oxlab.address"])


def create_node(client: docker.DockerClient, image: str, network: Network, wish: Wish, public_key: str) -> Container:
    """Make the container of a node. It is not started yet."""
    address = str(networks.addresses(network)[wish.number])
    labels = _labels(wish.name, wish.role, address)
    if wish.database:
        labels["oxlab.database"] = wish.database
    volume = client.volumes.create(_volume_name(wish.name), labels=LABELS)
    container = client.containers.create(
        image,
        name=PREFIX + wish.name,
        hostname=wish.name,
        labels=labels,
        network=networks.NAME,
        networking_config={networks.NAME: client.api.create_endpoint_config(ipv4_address=address)},
        # systemd needs nearly all rights. SYS_RESOURCE is one that some machines cannot give, and not needed.
        cap_add=["ALL"],
        cap_drop=["SYS_RESOURCE"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        cgroupns="private",
        devices=["/dev/fuse:/dev/fuse:rwm"],
        tmpfs={"/run": "", "/run/lock": ""},
        # The NFS server cannot export a container's own file system (overlayfs).
        volumes={str(volume.name): {"bind": "/var/opt", "mode": "rw"}},
        environment={"container": "docker"},
        stop_signal="SIGRTMIN+3",
    )
    _put_authorized_keys(container, public_key)
    return container


def _volume_name(node: str) -> str:
    return f"{PREFIX}{node}-opt"


def _labels(name: str, role: str, address: str) -> dict[str, str]:
    return {
        **LABELS,
        "oxlab.name": name,
        "oxlab.role": role,
        "oxlab.address": address,
        "oxlab.checkout": str(state.ROOT),
    }


def _put_authorized_keys(container: Container, public_key: str) -> None:
    """Let root and the user `admin` (who has sudo rights) log in with the lab's key."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for home, owner in (("root", 0), ("home/admin", 1000)):
            entry = tarfile.TarInfo(f"{home}/.ssh/authorized_keys")
            entry.mode, entry.uid, entry.gid, entry.size = 0o600, owner, owner, len(public_key)
            tar.addfile(entry, io.BytesIO(public_key.encode()))
    container.put_archive("/", archive.getvalue())


def _save_known_hosts(found: dict[str, Container]) -> None:
    keys_of = {_address(container): _host_key(container) for container in found.values()}
    lines = [f"{address} {' '.join(key.split()[:2])}\n" for address, key in keys_of.items() if key]
    state.write_private(state.KNOWN_HOSTS, "".join(sorted(lines)))


def _host_key(container: Container) -> str | None:
    """Read the file itself: on a busy machine a command may end before its output is there."""
    try:
        stream, _ = container.get_archive(HOST_KEY)
    except NotFound:
        return None
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        file = tar.extractfile(Path(HOST_KEY).name)
        return file.read().decode() if file else None


def _remove(container: Container) -> None:
    with suppress(NotFound):
        container.remove(force=True, v=True)


def _ox_packages() -> ModuleType | None:
    """The builder of the stand-in packages and their repository."""
    name = "tests.lab.ox6.build"
    try:
        return import_module(name) if find_spec(name) else None
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            return None
        raise


def repo_image(client: docker.DockerClient, progress: Progress) -> str | None:
    """The image of the repository with the stand-in packages; None if these are not there."""
    packages = _ox_packages()
    if packages is None:
        progress("the stand-in packages are not there: no package repository")
        return None
    build: Callable[[docker.DockerClient, str, Progress], str] = packages.build
    return build(client, images.base_image(client, progress), progress)


def ensure_repo(client: docker.DockerClient, network: Network, progress: Progress) -> None:
    """Serve the stand-in packages. The container holds no state, so another image simply replaces it."""
    packages = _ox_packages()
    image = repo_image(client, progress)
    if packages is None or image is None:
        return
    state.write_private(state.REPO_KEY, packages.public_key(client, image))
    current = containers(client).get("repo")
    if current and current.image and current.image.id == client.images.get(image).id:
        current.start()
        return
    if current:
        _remove(current)
    _create_repo(client, network, image).start()
    progress("the package repository is running")


def _create_repo(client: docker.DockerClient, network: Network, image: str) -> Container:
    credentials = keys.repo_credentials()
    address = str(networks.addresses(network)[REPO_NUMBER])
    endpoint = client.api.create_endpoint_config(ipv4_address=address, aliases=[state.REPO_NAME])
    return client.containers.create(
        image,
        name=f"{PREFIX}repo",
        hostname="repo",
        labels=_labels("repo", "repo", address),
        network=networks.NAME,
        networking_config={networks.NAME: endpoint},
        environment={"REPO_USER": credentials.user, "REPO_PASSWORD": credentials.password},
        init=True,
    )
