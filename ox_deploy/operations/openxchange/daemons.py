"""The daemons of a groupware node."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.openxchange import Daemon, Daemons
from ox_deploy.operations.stop import failed_host
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import SERVICE_SECONDS, order
from ox_deploy.questions.pyinfra_internals import is_executing
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import current_run

# How long a daemon may take to start, in seconds.
START_SECONDS = 120


@dataclass(frozen=True)
class LoginProof:
    """What proves that a node works: its `service` takes the login of nobody in a context, None for the default.

    `program` is the product's own, which starts daemons as daemons_start does and knows how this one is asked.
    """

    program: str
    service: str
    context: str | None = None


def question(ports: Mapping[str, int], **_: Any) -> Question[dict[str, Daemon]]:
    """Return what has to be known of the daemons that listen on these `ports`, by their services."""
    return Question(Daemons, ports=dict(ports))


@prefetch.asks(question)
@operation()
def start(ports: Mapping[str, int], proof: LoginProof | None = None) -> Generator[StringCommand, None, None]:
    """
    Start the node's daemons, now and at boot, if they do not run, and wait until they work.

    + ports: the services, and the port each one listens on when it is up
    + proof: how the node is asked whether it works

    Idempotent. A daemon that runs but has not read its changed files is left to `restart`.
    Guide: the init scripts of the daemons, `start`.
    """
    found = ask(host, question(ports))
    left = [name for name, daemon in found.items() if _needs_restart(daemon)]
    # `restart` takes its turn on one node after the other: asking each again would take as long as there are nodes.
    current_run().restarts[host.name] = left
    down = [name for name in ports if name not in found or _needs_start(found[name])]
    if down:
        again = [name for name in down if name in found and has_old_files(found[name])]
        # One that still runs with old files has its turn, and its proof, in `restart`.
        asked = proof if proof and proof.service not in left else None
        yield _start(start_job(ports, down, again, asked), asked)
    else:
        host.noop("the daemons run")


def _needs_start(daemon: Daemon) -> bool:
    return not (daemon.active and daemon.enabled and daemon.listening)


def has_old_files(daemon: Daemon) -> bool:
    """Tell whether a daemon runs with files that have changed since."""
    return daemon.pending and daemon.active


def _needs_restart(daemon: Daemon) -> bool:
    return has_old_files(daemon) and not _needs_start(daemon)


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
    services = current_run().restarts.get(host.name, [])
    if not services:
        host.noop("no daemon has to be restarted")
        return
    job = start_job(ports, services, services, proof) | {"undo": True, "settle_seconds": settle_seconds}
    failed = failed_host() if is_executing() else None
    if failed:
        sentence = f"{host.name}: not restarted, because {failed} did not come back; it runs as before."
        yield order("daemons_undo", job | {"sentence": sentence})
    else:
        yield _start(job, proof)


def _start(job: Mapping[str, Any], proof: LoginProof | None) -> StringCommand:
    return order(proof.program if proof else "daemons_start", job, seconds=SERVICE_SECONDS)


def start_job(
    ports: Mapping[str, int], names: Sequence[str], again: Sequence[str], proof: LoginProof | None = None
) -> dict[str, Any]:
    """Return what remote/daemons/start.py needs to bring daemons up, some of them anew."""
    login = {"service": proof.service, "context": proof.context, "port": ports[proof.service]} if proof else None
    return {
        "services": [{"name": name, "port": ports[name], "restart": name in again} for name in names],
        "all": list(ports),
        "login": login,
        "undo": False,
        "seconds": START_SECONDS,
        "settle_seconds": 0,
    }
