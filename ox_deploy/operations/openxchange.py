"""Open-Xchange on a groupware node: its configuration, what is registered once, its daemons, its caches."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from passlib.hash import des_crypt
from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.base import Question, ask
from ox_deploy.facts.openxchange import (
    CachePeers,
    Configdb,
    Configuration,
    Daemon,
    Daemons,
    OpenXchangeConfiguration,
    Pool,
    Registration,
)
from ox_deploy.operations.stop import failed_host, stop
from ox_deploy.questions import prefetch
from ox_deploy.questions.pyinfra_internals import is_executing
from ox_deploy.questions.sending import SERVICE_SECONDS, order
from ox_deploy.secrets import Secret

# How long a daemon may take to start, and the caches to find each other, in seconds.
START_SECONDS = 120
# How long one of the product's tools may take.
TOOL_SECONDS = 60
MESH_SECONDS = 60

# Stands on oxinstaller's command line instead of the passwords, which are written to its files afterwards.
PLACEHOLDER = "set-by-ox-deploy"


@dataclass(frozen=True)
class Administrator:
    """The administrator of the whole cluster, and the file with the hash of the password."""

    name: str
    password: Secret
    file: str

    def matches(self, configuration: Configuration) -> bool:
        """Tell whether the stored hash is that of the password."""
        stored = configuration.administrator
        if stored is None:
            return False
        return stored.hash.matches(des_crypt.using(salt=stored.salt).hash(self.password.reveal()))


@dataclass(frozen=True)
class WantedConfiguration:
    """Files below /opt/open-xchange/etc as they should be.

    `values` gives keys and values by file, None for a key that should be commented out; `memory` gives keys
    whose value should contain a text. `secrets` holds (prefix, password) by file and key.
    """

    values: Mapping[str, Mapping[str, str | None]]
    memory: Mapping[str, Mapping[str, str]]
    secrets: Mapping[str, Mapping[str, tuple[str, Secret]]]
    administrator: Administrator

    def keys(self) -> dict[str, list[str]]:
        """Return the keys to ask for, by file."""
        files = dict.fromkeys([*self.values, *self.memory])
        return {file: [*self.values.get(file, {}), *self.memory.get(file, {})] for file in files}

    def secret_keys(self) -> dict[str, list[str]]:
        """Return the keys to ask fingerprints for, by file."""
        return {file: list(keys) for file, keys in self.secrets.items()}

    def differences(self, found: Configuration) -> list[str]:
        """Return `file: key` of all that is not as it should be."""
        plain = [
            f"{file}: {key}"
            for file, keys in self.values.items()
            for key, value in keys.items()
            if found.values.get(file, {}).get(key) != value
        ]
        memory = [
            f"{file}: {key}"
            for file, keys in self.memory.items()
            for key, text in keys.items()
            if text not in (found.values.get(file, {}).get(key) or "")
        ]
        secret = [
            f"{file}: {key}"
            for file, keys in self.secrets.items()
            for key, (prefix, password) in keys.items()
            if key not in found.secrets.get(file, {})
            or not found.secrets[file][key].matches(prefix + password.reveal())
        ]
        administrator = [] if self.administrator.matches(found) else [self.administrator.file]
        return plain + memory + secret + administrator + found.exposed


def configuration_question(wanted: WantedConfiguration, **_: Any) -> Question[Configuration]:
    """Return what has to be known of a node's configuration."""
    return Question(
        OpenXchangeConfiguration,
        keys=wanted.keys(),
        secret_keys=wanted.secret_keys(),
        administrator=wanted.administrator.name,
        administrator_file=wanted.administrator.file,
    )


@prefetch.asks(configuration_question)
@operation()
def configure(
    wanted: WantedConfiguration,
    installer: Sequence[str],
    license_arguments: Sequence[str],
    services: Sequence[str],
    keep: Sequence[str],
) -> Generator[StringCommand, None, None]:
    """
    Write the node's configuration with oxinstaller where it differs from what that would write.

    + wanted: what the files should say
    + installer: arguments of oxinstaller, with a placeholder for each password
    + license_arguments: more arguments, for versions that want to be told about a licence
    + services: daemons that have to be restarted after a change; they are marked, not restarted here
    + keep: files that oxinstaller resets though an administrator may have changed them; they are kept on a
      node that was set up before

    Idempotent. No password stands on a command line.
    Guide: Configuring Open-Xchange Server, `oxinstaller` (to be performed on both nodes).
    """
    administrator = wanted.administrator
    found = ask(host, configuration_question(wanted))
    if not found.installed and is_executing():
        yield stop(f"{host.name}: Open-Xchange is not installed; run the whole deploy for this host.")
        return
    differences = wanted.differences(found)
    if not differences:
        host.noop("the configuration is right")
        return
    set_up = found.administrator is not None
    job = {
        "services": list(services),
        "installer": list(installer),
        "license": list(license_arguments),
        "set_up": set_up,
        "keep": list(keep) if set_up else [],
        "values": _values_to_write(wanted),
        "secret_files": list(wanted.secrets),
        "administrator": {
            "name": administrator.name,
            "password": administrator.password.reveal(),
            "file": administrator.file,
        },
    }
    yield order("openxchange_configure", job)


def _values_to_write(wanted: WantedConfiguration) -> dict[str, dict[str, str | None]]:
    values = {file: dict(keys) for file, keys in wanted.values.items()}
    for file, keys in wanted.secrets.items():
        for key, (prefix, password) in keys.items():
            values.setdefault(file, {})[key] = prefix + password.reveal()
    return values


@dataclass(frozen=True)
class WantedDatabase:
    """A database server to be registered; `master` is the name of its master, None for a master."""

    name: str
    address: str
    port: int
    user: str
    password: Secret
    master: str | None = None

    @property
    def host(self) -> str:
        """Return what registerdatabase wants: the port only where it is not the usual one."""
        return self.address if self.port == 3306 else f"{self.address}:{self.port}"

    def is_at(self, url: str) -> bool:
        """Tell whether a registered URL is that of this server."""
        return _server_in(url) in (self.host, f"{self.address}:{self.port}")

    def moved(self, url: str) -> str:
        """Return a registered URL with the address of this server."""
        return url.replace(_server_in(url), self.host, 1)


def _server_in(url: str) -> str:
    return url.removeprefix("jdbc:mysql://").split("/")[0].split("?")[0]


def moved_pools(databases: Sequence[WantedDatabase], found: Registration) -> list[dict[str, Any]]:
    """Return the registered databases that are elsewhere now, with their new URLs."""
    wanted = {database.name: database for database in databases}
    return [
        {"id": pool.id, "name": pool.name, "was": pool.url, "url": wanted[pool.name].moved(pool.url)}
        for pool in found.pools
        if pool.name in wanted and not wanted[pool.name].is_at(pool.url)
    ]


@dataclass(frozen=True)
class WantedUser:
    """A user to be created in a context."""

    name: str
    display_name: str
    given_name: str
    sur_name: str
    email: str
    password: Secret


@dataclass(frozen=True)
class WantedContext:
    """A context to be created; `quota` is in MB."""

    id: int
    name: str
    admin: str
    admin_display_name: str
    admin_email: str
    quota: int
    access: str
    password: Secret
    users: tuple[WantedUser, ...]


@dataclass(frozen=True)
class WantedRegistration:
    """What configdb should hold."""

    server: str
    filestore: str
    databases: tuple[WantedDatabase, ...]
    contexts: tuple[WantedContext, ...]

    def obstacle(self, found: Registration) -> str | None:
        """Return a sentence for what has to be put right by a person, or None."""
        if found.state == "no access":
            return (
                f"configdb cannot be asked ({found.error}); deploy the database chapter, "
                "or run with the database hosts included."
            )
        if found.state == "damaged":
            return (
                f"configdb lacks the tables {found.error} but holds registrations; nothing was changed: "
                "restore it from a backup."
            )
        pools = {pool.name: pool for pool in found.pools}
        moved = {pool["name"] for pool in self._moved(found)}
        for database in self.databases:
            pool = pools.get(database.name)
            if pool and not database.is_at(pool.url) and pool.name not in moved:
                return (
                    f"configdb: database {database.name} is registered at {pool.url}; it should be at "
                    f"{database.host}; correct the inventory (the first host of `db_slave` is the one that "
                    "Open-Xchange reads from), or change the registration with `changedatabase`."
                )
            if pool and database.master and not _reads_from(found, pools.get(database.master), pool):
                return (
                    f"configdb: {database.name} (id {pool.id}) is registered, but reads do not go to it; "
                    f"correct `read_db_pool_id` of db_cluster for the master {database.master}."
                )
        return None

    def _moved(self, found: Registration) -> list[dict[str, Any]]:
        """Return the registered slaves that stand for the master because there was none, with their URLs now."""
        masters = {database.name: database for database in self.databases if database.master is None}
        slaves = [database for database in self.databases if database.master in masters]
        at_master = {
            pool.name
            for pool in found.pools
            for slave in slaves
            if pool.name == slave.name and masters[slave.master or ""].is_at(pool.url)
        }
        return moved_pools([slave for slave in slaves if slave.name in at_master], found)

    def missing(self, found: Registration) -> dict[str, Any]:
        """Return what has to be done, as remote/openxchange/register.py wants it."""
        pools = {pool.name: pool for pool in found.pools}
        contexts = {context.id: context.users for context in found.contexts}
        return {
            "configdb": {"absent": "create", "incomplete": "recreate"}.get(found.state),
            "servers": [self.server] if self.server not in found.servers else [],
            "filestores": [self.filestore] if self.filestore not in found.filestores else [],
            "pools": self._moved(found),
            "databases": [_database(wanted) for wanted in self.databases if wanted.name not in pools],
            "passwords": [
                {"name": wanted.name, "password": wanted.password.reveal()}
                for wanted in self.databases
                if not _has_password(pools.get(wanted.name), wanted.password)
            ],
            "contexts": [_context(wanted) for wanted in self.contexts if wanted.id not in contexts],
            "users": [
                _user(context, user)
                for context in self.contexts
                for user in context.users
                if user.name not in contexts.get(context.id, [])
            ],
        }


def _reads_from(found: Registration, master: Pool | None, slave: Pool) -> bool:
    return master is not None and found.clusters.get(master.id) == slave.id


def _has_password(pool: Pool | None, password: Secret) -> bool:
    return pool is not None and pool.password.matches(password.reveal())


def _database(wanted: WantedDatabase) -> dict[str, Any]:
    return {"name": wanted.name, "host": wanted.host, "user": wanted.user, "master": wanted.master}


def _context(wanted: WantedContext) -> dict[str, Any]:
    values = asdict(wanted) | {"password": wanted.password.reveal()}
    del values["users"]
    return values


def _user(context: WantedContext, user: WantedUser) -> dict[str, Any]:
    return asdict(user) | {
        "password": user.password.reveal(),
        "context": context.id,
        "administrator": {"name": context.admin, "password": context.password.reveal()},
    }


def registration_question(wanted: WantedRegistration, **_: Any) -> Question[Registration]:
    """Return what has to be known of configdb."""
    return Question(Configdb, contexts=[context.id for context in wanted.contexts])


def registration_of(wanted: WantedRegistration) -> Registration:
    """Ask the current host what configdb holds; who did not answer in time along with other questions, once more."""
    question = registration_question(wanted)
    found = ask(host, question)
    if found.state == "no access" and prefetch.answer(host, question) is not None:
        prefetch.forget()
        found = ask(host, question)
    return found


@prefetch.asks(registration_question)
@operation()
def register(
    wanted: WantedRegistration, administrator: Administrator, ports: Mapping[str, int], admin_service: str
) -> Generator[StringCommand, None, None]:
    """
    Do once for the cluster what has to be done on one node: configdb, server, filestore, databases, contexts.

    + wanted: what configdb should hold
    + administrator: the administrator of the cluster
    + ports: the daemons, and the port each one listens on when it is up
    + admin_service: the admin daemon, which is started if it does not run

    Idempotent; asked is the write host, since a slave may lag. initconfigdb runs only if there is no configdb,
    because its own guard may drop a live one; it gets a password that ends with it. The ids are looked up.
    Guide: Configuring Open-Xchange Server, initconfigdb to createuser.
    """
    found = registration_of(wanted)
    if found.state == "interrupted":
        yield order("configdb_restore", {})
        found = registration_of(wanted)
    obstacle = wanted.obstacle(found)
    if obstacle:
        yield stop(obstacle) if is_executing() else StringCommand("true")
        return
    job = wanted.missing(found)
    if not any(job.values()):
        host.noop("everything is registered")
        return
    job["administrator"] = {"name": administrator.name, "password": administrator.password.reveal()}
    daemon = ask(host, _daemons_question(ports))[admin_service]
    job["daemons"] = {
        "services": [
            {"name": admin_service, "port": ports[admin_service], "restart": daemon.pending and daemon.active}
        ],
        "all": list(ports),
        "login": None,
        "undo": False,
        "seconds": START_SECONDS,
        "settle_seconds": 0,
    }
    tools = len(job["contexts"]) + len(job["users"])
    yield order("openxchange_register", job, seconds=SERVICE_SECONDS + TOOL_SECONDS * tools)


# Nodes whose daemons run but have to be restarted, noted by `start` for `restart`, which takes its turn on
# one node after the other: asking each of them again would take as long as there are nodes.
_restart_needed: dict[str, list[str]] = {}


@dataclass(frozen=True)
class LoginProof:
    """What proves that a node works: its `service` takes the login of nobody in a context, None for the default."""

    service: str
    context: str | None = None


def _daemons_question(ports: Mapping[str, int], **_: Any) -> Question[dict[str, Daemon]]:
    return Question(Daemons, ports=dict(ports))


@prefetch.asks(_daemons_question)
@operation()
def start(ports: Mapping[str, int], proof: LoginProof | None = None) -> Generator[StringCommand, None, None]:
    """
    Start the node's daemons, now and at boot, if they do not run, and wait until they work.

    + ports: the services, and the port each one listens on when it is up
    + proof: how the node is asked whether it works

    Idempotent. A daemon that runs but has not read its changed files is left to `restart`.
    Guide: `open-xchange-admin start`, `open-xchange-groupware start`.
    """
    found = ask(host, _daemons_question(ports))
    _restart_needed[host.name] = [name for name, daemon in found.items() if _needs_restart(daemon)]
    down = [name for name in ports if name not in found or _needs_start(found[name])]
    if down:
        again = [name for name in down if name in found and _has_old_files(found[name])]
        # One that still runs with old files has its turn, and its proof, in `restart`.
        asked = proof if proof and proof.service not in _restart_needed[host.name] else None
        yield order("daemons_start", _job(ports, down, again, asked))
    else:
        host.noop("the daemons run")


def _needs_start(daemon: Daemon) -> bool:
    return not (daemon.active and daemon.enabled and daemon.listening)


def _has_old_files(daemon: Daemon) -> bool:
    return daemon.pending and daemon.active


def _needs_restart(daemon: Daemon) -> bool:
    return _has_old_files(daemon) and not _needs_start(daemon)


@operation()
def restart(
    ports: Mapping[str, int], settle_seconds: int, proof: LoginProof | None = None
) -> Generator[StringCommand, None, None]:
    """
    Restart the daemons that `start` found running with files that changed since.

    + ports, proof: as for `start`, which has to come before
    + settle_seconds: how long to wait afterwards, until the balancer has noticed that the node is back

    Idempotent. To be called with `_serial=True`, so that one node after the other is down. A node that does not work
    again gets back the files that it ran with, and ends it: further nodes get theirs back, too, and run on.
    """
    services = _restart_needed.get(host.name, [])
    if not services:
        host.noop("no daemon has to be restarted")
        return
    job = _job(ports, services, services, proof) | {"undo": True, "settle_seconds": settle_seconds}
    failed = failed_host() if is_executing() else None
    if failed:
        sentence = f"{host.name}: not restarted, because {failed} did not come back; it runs as before."
        yield order("daemons_undo", job | {"sentence": sentence})
    else:
        yield order("daemons_start", job)


def _job(
    ports: Mapping[str, int], names: Sequence[str], again: Sequence[str], proof: LoginProof | None
) -> dict[str, Any]:
    """Return what remote/daemons/start.py needs to bring daemons up, some of them anew."""
    return {
        "services": [{"name": name, "port": ports[name], "restart": name in again} for name in names],
        "all": list(ports),
        "login": asdict(proof) | {"port": ports[proof.service]} if proof else None,
        "undo": False,
        "seconds": START_SECONDS,
        "settle_seconds": 0,
    }


def _caches_question(ports: Sequence[int], **_: Any) -> Question[dict[str, list[int]]]:
    return Question(CachePeers, ports=list(ports))


@prefetch.asks(_caches_question)
@operation()
def join_caches(peers: Sequence[str], ports: Sequence[int]) -> Generator[StringCommand, None, None]:
    """
    Wait until the caches of this node are connected with those of every other node.

    + peers: addresses of the other nodes
    + ports: TCP ports of the caches

    Idempotent; fails with the names of the nodes that are missing.
    Guide: Test the network settings, `netstat -tlpa | grep java | grep ESTABLISHED`.
    """
    found = ask(host, _caches_question(ports))
    if all(set(ports) <= set(found.get(peer, [])) for peer in peers):
        host.noop("every other node is connected")
        return
    yield order("cache_wait", {"peers": list(peers), "ports": list(ports), "seconds": MESH_SECONDS})
