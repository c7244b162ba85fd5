"""Who is the master: whether the inventory says so, and the servers' files, which say it to the servers."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
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
from ox_deploy.topologies.master_slaves import switch_rules
from ox_deploy.topologies.master_slaves.notes import notes
from ox_deploy.topologies.master_slaves.operations.switchover import answer_of, status_question
from ox_deploy.topologies.master_slaves.server_state import refusal
from ox_deploy.topologies.master_slaves.switch_rules import Server


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
    own = next((status for server, status in statuses.items() if server.inventory_name == host.name), None)
    if own:
        notes().statuses[host.name] = own


def _files_question(
    service_name: str,
    files: Sequence[service.ManagedFile],
    units: Sequence[str] = (),
    replaces: service.Replaced | None = None,
    **_: Any,
) -> Question[ServiceStatus]:
    return service.question(service_name, files, units, replaces)


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
) -> Generator[StringCommand, None, None]:
    """
    Write a database server's files as `service.configure` does, unless its role is another one by then.

    + service_name, files, units, check, probe, replaces: as for `service.configure`
    + read_only: whether the files say so: a replica's do, a master's do not
    + switched: whether the server has this role already, because it was just given to it
    + option_file: root-only option file on the host, where root cannot log in over the socket

    Idempotent. The host looks once more right before it writes: a server that is not what `check_roles` saw, or that is
    being switched, keeps its files. To be called with `_serial=True` where it restarts servers: after one that does not
    come back, no further one is touched.
    """
    job = service.job_for(service_name, files, units, "restart", check, (), probe, replaces)
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
