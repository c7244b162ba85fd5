"""What is registered in configdb, once for the cluster: server, filestore, databases, contexts and users."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.openxchange import Registration
from ox_deploy.operations.openxchange import daemons
from ox_deploy.operations.openxchange.configuration import Administrator
from ox_deploy.operations.openxchange.wanted import (
    AdminCheck,
    ConfigdbLayout,
    WantedDatabase,
    WantedRegistration,
    moved_pools,
)
from ox_deploy.operations.stop import stop
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import SERVICE_SECONDS, order
from ox_deploy.questions.pyinfra_internals import is_executing
from ox_deploy.questions.question import Question
from ox_deploy.remote.configdb.state import RegistrationState

# How long one of the product's tools may take.
TOOL_SECONDS = 60


def question(wanted: WantedRegistration, **_: Any) -> Question[Registration]:
    """Return what has to be known of configdb."""
    return wanted.layout.question([context.id for context in wanted.contexts])


def found_for(wanted: WantedRegistration) -> Registration:
    """Ask the current host what configdb holds; who did not answer in time along with other questions, once more."""
    asking = question(wanted)
    found = ask(host, asking)
    if found.state == RegistrationState.NO_ACCESS and prefetch.answer(host, asking) is not None:
        prefetch.forget()
        found = ask(host, asking)
    return found


@prefetch.asks(question)
@operation()
def register(
    wanted: WantedRegistration,
    administrator: Administrator,
    ports: Mapping[str, int],
    admin_service: str,
    admin_check: AdminCheck,
) -> Generator[StringCommand, None, None]:
    """
    Do once for the cluster what has to be done on one node: configdb, server, filestore, databases, contexts.

    + wanted: what configdb should hold
    + administrator: the administrator of the cluster
    + ports: the daemons, and the port each one listens on when it is up
    + admin_service: the admin daemon, which is started if it does not run
    + admin_check: how it is asked whether it answers

    Idempotent; asked is the write host, since another one may lag. initconfigdb runs only if there is no configdb,
    because its own guard may drop a live one; it gets a password that ends with it. The ids are looked up.
    Guide: Configuring Open-Xchange Server, initconfigdb to createuser.
    """
    found = found_for(wanted)
    if found.state == RegistrationState.INTERRUPTED:
        yield order("configdb_restore", {"file": wanted.layout.file})
        found = found_for(wanted)
    obstacle = wanted.obstacle(found)
    if obstacle:
        yield stop(obstacle) if is_executing() else StringCommand("true")
        return
    job = wanted.missing(found)
    if not any(job.values()):
        host.noop("everything is registered")
        return
    job["administrator"] = {"name": administrator.name, "password": administrator.password.reveal()}
    job |= {"file": wanted.layout.file, "tables": dict(wanted.layout.tables)}
    job["admin_check"] = asdict(admin_check)
    daemon = ask(host, daemons.question(ports))[admin_service]
    again = [admin_service] if daemons.has_old_files(daemon) else []
    job["daemons"] = daemons.start_job(ports, [admin_service], again)
    tools = len(job["contexts"]) + len(job["users"])
    yield order("openxchange_register", job, seconds=SERVICE_SECONDS + TOOL_SECONDS * tools)


def _layout_question(layout: ConfigdbLayout, **_: Any) -> Question[Registration]:
    return layout.question()


@prefetch.asks(_layout_question)
@operation()
def repoint(databases: Sequence[WantedDatabase], layout: ConfigdbLayout) -> Generator[StringCommand, None, None]:
    """
    Have configdb name the addresses of the databases. Their names and ids, which contexts refer to, stay.

    + databases: the registered databases with their addresses
    + layout: what configdb is like

    Idempotent. To be called on one node, after its configuration.
    """
    found = ask(host, _layout_question(layout))
    if found.state != RegistrationState.COMPLETE:
        yield stop(f"configdb cannot be changed ({found.error or found.state}); run again when it can be reached.")
        return
    moved = moved_pools(databases, found)
    if moved:
        yield order("configdb_repoint", {"file": layout.file, "pools": moved})
    else:
        host.noop("configdb names the right addresses")
