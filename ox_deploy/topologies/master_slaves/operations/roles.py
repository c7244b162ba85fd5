"""Who is the master: whether the inventory says so, and the servers' files, which say it to the servers."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.mysql import MysqlStatus
from ox_deploy.facts.service import ServiceStatus
from ox_deploy.operations import service
from ox_deploy.operations.stop import failed_host, stop
from ox_deploy.questions import prefetch
from ox_deploy.questions.order import SERVICE_SECONDS, order
from ox_deploy.questions.peer import PeerUnreachable, ask_peer
from ox_deploy.questions.pyinfra_internals import is_executing
from ox_deploy.questions.question import Question
from ox_deploy.templates import render
from ox_deploy.topologies.master_slaves import switch_rules
from ox_deploy.topologies.master_slaves.defaults import not_understood, wanted_defaults
from ox_deploy.topologies.master_slaves.notes import notes
from ox_deploy.topologies.master_slaves.operations.switchover import answer_of, status_question
from ox_deploy.topologies.master_slaves.server_state import refusal
from ox_deploy.topologies.master_slaves.switch_rules import Server


@dataclass(frozen=True)
class Collations:
    """In which `file` (path) a server has those that the servers have in common, and who is the `master`."""

    file: str
    master: str


def _roles_questions(master: Server, slaves: Sequence[Server], **_: Any) -> list[tuple[str, Question[MysqlStatus]]]:
    return [(server.inventory_name, status_question(server, [])) for server in (master, *slaves)]


@prefetch.asks(peers=_roles_questions)
@operation()
def check_roles(
    master: Server,
    slaves: Sequence[Server],
    remedies: Mapping[str, str],
    accept_loss: str | None = None,
    encrypted: bool = False,
) -> Generator[StringCommand, None, None]:
    """
    Refuse to go on if the master was switched and the inventory does not say so yet, or a server stands against it.

    + master, slaves: the database servers by their roles in the inventory
    + remedies: what is to be changed in the inventory if one of the replicas is the master, by its name
    + accept_loss: the names of replicas that cannot be asked, and may have taken over, said by a person, with commas
    + encrypted: whether the replicas log in over encrypted connections

    To be called before anything is done that depends on the roles, on every host for which they matter. A server that
    is not there yet says nothing. Nor does a replica that cannot be reached, unless the master is read-only: that
    replica may have taken over then. Idempotent: changes nothing.
    """
    try:
        found = ask_peer(host, master.inventory_name, status_question(master, []))
    except PeerUnreachable as error:
        yield stop(str(error))
        return
    answers = {slave: answer_of(slave) for slave in slaves}
    statuses = {slave: status for slave, status in answers.items() if status}
    _remember({master: found} | statuses)
    silent = [slave.name for slave, status in answers.items() if not status]
    accepted = str(accept_loss).split(",")
    problem = (
        switch_rules.pairs_without_gtids({master: found} | statuses)
        or switch_rules.obstacle(master, found, statuses, encrypted)
        or _switched(switch_rules.actual_master(master, found, statuses), remedies)
        or switch_rules.unsure(master, found, statuses, silent, accepted)
    )
    if problem:
        yield stop(problem)
    else:
        host.noop(f"{master.name} is the master")


def _switched(actual: tuple[str, Server] | None, remedies: Mapping[str, str]) -> str | None:
    if actual is None:
        return None
    evidence, server = actual
    remedy = remedies[server.name]
    return f"inventory: {evidence}; nothing was changed. {remedy[:1].upper()}{remedy[1:]}."


def _remember(statuses: Mapping[Server, MysqlStatus]) -> None:
    notes().servers.update({server.inventory_name: status for server, status in statuses.items()})
    own = next((status for server, status in statuses.items() if server.inventory_name == host.name), None)
    if own:
        notes().statuses[host.name] = own


def _files_question(
    service_name: str,
    files: Sequence[service.ManagedFile],
    units: Sequence[str] = (),
    replaces: service.Replaced | None = None,
    collations: Collations | None = None,
    **_: Any,
) -> Question[ServiceStatus]:
    more = [service.ManagedFile(collations.file)] if collations else []
    return service.question(service_name, [*files, *more], units, replaces)


def _collations_file(collations: Collations) -> service.ManagedFile:
    """Return the file as it should be; what is not known stays as it is."""
    servers = notes().servers
    lost_on = not_understood(host.name, servers) if host.name == collations.master else []
    if lost_on:
        host.log(
            f"{', '.join(lost_on)} would give other collations to what is made here with a character set and no "
            "collation; set `character_set_collations` to an empty text in `mysql_settings`, unless these are replaced"
        )
    found = wanted_defaults(host.name, collations.master, servers)
    if found is None:
        return service.ManagedFile(collations.file, shared=True, optional=True)
    says, begins = found
    return service.ManagedFile(collations.file, render(collations.file, defaults=says), optional=not begins)


@prefetch.asks(_files_question)
@operation()
def configure(
    service_name: str,
    files: Sequence[service.ManagedFile],
    check: Sequence[str],
    read_only: bool,
    units: Sequence[str] = (),
    switched: bool = False,
    option_file: str | None = None,
    probe: service.Probe = service.UNITS_ONLY,
    replaces: service.Replaced | None = None,
    collations: Collations | None = None,
) -> Generator[StringCommand, None, None]:
    """
    Write a database server's files as `service.configure` does, unless its role is another one by then.

    + service_name, files, units, check, probe, replaces: as for `service.configure`
    + read_only: whether the files say so: a replica's do, a master's do not
    + switched: whether the server has this role already, because it was just given to it
    + option_file: root-only option file on the host, where root cannot log in over the socket
    + collations: where a server of another release than the master's has the collations of the master; None if somebody
      has set them

    Idempotent. The host looks once more right before it writes: a server that is not what `check_roles` saw, or that is
    being switched, keeps its files. To be called with `_serial=True` where it restarts servers: after one that does not
    come back, no further one is touched.
    """
    all_files = [*files, *([_collations_file(collations)] if collations else [])]
    job = service.job_for(service_name, all_files, units, "restart", check, (), probe, replaces)
    status = notes().statuses.get(host.name)
    if job is None:
        problem = refusal(status) if status else None
        if problem:
            yield stop(problem)
        else:
            host.noop(f"{service_name} is configured and runs")
        return
    status = None if switched else status
    seen = status.role if status else None
    role = {"read_only": read_only, "switched": switched, "seen": seen, "option_file": option_file}
    change = order("master_slaves.role_configure", {"files": job, **role}, seconds=SERVICE_SECONDS)
    failed = failed_host() if is_executing() else None
    if failed:
        yield stop(f"{host.name}: not touched, because the server on {failed} failed; its own runs as before.")
    else:
        yield change
