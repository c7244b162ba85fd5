"""Asks another host, also one outside `--limit`, which is connected on demand."""

from __future__ import annotations

from typing import TypeVar

import gevent
from pyinfra.api import Host, OperationError
from pyinfra.api.exceptions import ConnectError

from ox_deploy.questions import prefetch, pyinfra_internals
from ox_deploy.questions.ask import ask
from ox_deploy.questions.bounds import NoAnswer
from ox_deploy.questions.program import QUESTION_SECONDS
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import current_run

T = TypeVar("T")


class PeerUnreachable(OperationError):
    """Another host whose state has to be known cannot be asked; the message is one sentence with the remedy."""


def ask_peer(asking: Host, inventory_name: str, question: Question[T], seconds: float = QUESTION_SECONDS) -> T:
    """Return the answer of another host, also of one outside `--limit`, which is connected on demand.

    + seconds: how long the connection may take

    Raises PeerUnreachable if that host cannot be asked.
    """
    peer = asking.inventory.get_host(inventory_name)
    try:
        answer = _ask_once(peer, question, seconds)
    except Exception as error:
        reason = error.reason if isinstance(error, NoAnswer) else str(error)
        raise PeerUnreachable(_unreachable(asking, inventory_name, reason)) from error
    if answer is None:
        raise PeerUnreachable(_unreachable(asking, inventory_name, "it did not answer"))
    return answer


def _ask_once(peer: Host, question: Question[T], seconds: float) -> T | None:
    """Ask a host once for all who want to know the same at the same time; raises what keeps it from answering.

    An SSH server takes ten commands at a time by one connection, and there may be more nodes.
    """
    jobs = current_run().asking
    job = jobs.get((peer, question))
    if job is None:
        job = jobs[peer, question] = gevent.spawn(_answer, peer, question, seconds)
    job.join()
    # Who comes later asks anew, and who came since something was changed has.
    if jobs.get((peer, question)) is job:
        del jobs[peer, question]
    if isinstance(job.value, Exception):
        raise job.value
    answer: T | None = job.value
    return answer


def _answer(peer: Host, question: Question[T], seconds: float) -> T | Exception:
    try:
        if prefetch.answer(peer, question) is None:
            connect(peer, seconds)
        return ask(peer, question)
    except Exception as error:
        # Raised here, gevent would print it.
        return error


def connect(peer: Host, seconds: float = QUESTION_SECONDS) -> None:
    """Connect a host outside `--limit` once, however many hosts ask it at the same time.

    A second connection would take the place of the first one, whose commands would never end. Raises ConnectError, or
    what the connector raises, at the latest after so many seconds.
    """
    if pyinfra_internals.is_connected(peer):
        return
    connecting = current_run().connecting
    if peer not in connecting:
        connecting[peer] = gevent.spawn(_attempt, peer)
    job = connecting[peer]
    job.join(seconds)
    connecting.pop(peer, None)
    error = job.value if job.ready() else ConnectError(f"no connection within {seconds} s")
    job.kill(block=False)
    if error:
        raise error


def _attempt(peer: Host) -> Exception | None:
    try:
        pyinfra_internals.connect(peer, reason="to be asked")
    except Exception as error:
        # Raised here, gevent would print it.
        return error
    return None


def _unreachable(asking: Host, inventory_name: str, reason: str) -> str:
    return (
        f"{asking.name} needs to know the state of {inventory_name}, which cannot be asked ({reason}); make that host "
        "reachable and run again."
    )
