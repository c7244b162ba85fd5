"""Takes the lease of the cluster on its hosts, keeps it as long as this run lives, and gives it back at its end."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TypeVar

import gevent
from pyinfra import host
from pyinfra.api import Host, StringCommand, operation

from ox_deploy.facts.answers import Answers
from ox_deploy.facts.hosts import WAIT_SECONDS
from ox_deploy.facts.lease import BreakLease, LeaseReply, TakeLease
from ox_deploy.operations.direct import carry_out
from ox_deploy.operations.stop import stop
from ox_deploy.questions import lease, prefetch
from ox_deploy.questions.ask import get
from ox_deploy.questions.lease import Lease, Taking
from ox_deploy.questions.peer import connect
from ox_deploy.questions.pyinfra_internals import current_host, end_run_on_failure, is_executing, turn_of, warn
from ox_deploy.questions.run import current_run

AnswerT = TypeVar("AnswerT")
# How long to wait before a host is asked again for a lease that another run has, and how often it is asked.
PAUSE_SECONDS = 0.25
ATTEMPTS = int(lease.CONTEND_SECONDS / PAUSE_SECONDS)
# For how long a host outside `--limit` may take to be connected.
CONNECT_SECONDS = 5
# How long a host may take to renew or release its lease.
TELL_SECONDS = 10


def taking(doing: str) -> Taking | None:
    """Return how this run takes a lease; nothing while pyinfra only looks for changes, which takes none.

    + doing: what this run does, as others are told
    """
    if not is_executing():
        return None
    own = lease.begin(doing)
    return Taking(own.holder.run, own.info, WAIT_SECONDS)


def take(
    how: Taking,
    ask: Callable[[Taking], AnswerT | None],
    answer_of: Callable[[AnswerT], lease.Answer | None],
    other: Host | None = None,
) -> AnswerT | None:
    """Have a host asked until it gives its lease or this run may not have it; return what it said last, if anything.

    + how: how it is taken
    + ask: asks the host, and takes its lease with the same command
    + answer_of: returns what it said about the lease
    + other: the host, if it is not the current one

    Of two runs that begin together each may get the lease of some hosts: who began later gives them back and ends.
    """
    own = current_run().lease
    assert own is not None
    target = other or current_host()
    _look_after(own, target)
    for left in reversed(range(ATTEMPTS)):
        found = ask(how)
        if found is None:
            return None
        answer = answer_of(found)
        again = _again(own, how, answer) if left else None
        if again is None:
            _note(own, target, answer)
            break
        how = again
    return found


def _look_after(own: Lease, target: Host) -> None:
    """Renew the lease of a host from now on, and release it at the end."""
    own.hosts.add(target)
    if own.renewing is None:
        own.renewing = gevent.spawn(_renew, own)
        atexit.register(_tell_all, own, "release")


def _again(own: Lease, how: Taking, answer: lease.Answer | None) -> Taking | None:
    """Return how to ask once more, at once or after a while, for a lease that another run has; None if not at all."""
    if answer is None or answer.number is not None or own.refused:
        return None
    if answer.holder and answer.holder.is_dead():
        return replace(how, dead=answer.holder.run)
    if own.may_wait_for(answer):
        gevent.sleep(PAUSE_SECONDS)
        return how
    return None


def _note(own: Lease, target: Host, answer: lease.Answer | None) -> None:
    """Note a host's last word: its lease, or why this run may not go on."""
    if answer is None:
        _refuse(
            own,
            f"{target.name}: the lease of the cluster could not be taken; check whether its disk is full or read-only.",
        )
    elif answer.number is None:
        _refuse(own, lease.refusal(target.name, answer))
    else:
        own.numbers[target.name] = answer.number
        if answer.over and not own.took_over:
            own.took_over = True
            target.log(lease.taken_over(answer.over))
        if own.refused:
            _tell(own, target, "release")


def _refuse(own: Lease, sentence: str) -> None:
    """Note why this run may not go on, and give back at once what it has got."""
    if not own.refused:
        own.refused = sentence
        gevent.spawn(_tell_all, own, "release")


def refuse() -> Generator[StringCommand, None, None]:
    """Yield the command that ends the run if it may not go on. One host says why, and no other goes on alone."""
    own = current_run().lease
    if own and own.refused and not own.told:
        own.told = True
        end_run_on_failure()
        yield stop(own.refused)


@contextmanager
def also(how: Taking, others: Sequence[str]) -> Iterator[None]:
    """Take the lease of other hosts, too, and ask them ahead, while the current one is asked.

    + how: how it is taken
    + others: their names in the inventory

    One that cannot be reached does without: this run does not change it.
    """
    jobs = [gevent.spawn(_ask_other, host.inventory.get_host(name), how) for name in others]
    yield
    gevent.joinall(jobs)


def _ask_other(other: Host, how: Taking) -> None:
    try:
        with gevent.Timeout(CONNECT_SECONDS, OSError("no answer")):
            connect(other)
        with turn_of(other):
            _ask_ahead(other, how)
    except Exception as error:
        warn(other, f"cannot be told about this run ({error})")


def _ask_ahead(target: Host, how: Taking) -> LeaseReply | None:
    """Take a host's lease, and keep its answers to what the operations of this run are going to ask it."""
    questions = prefetch.planned(target)
    looked: LeaseReply | None = take(
        how, lambda how: get(target, TakeLease, taking=how, questions=questions), lambda it: it.lease, target
    )
    if looked:
        prefetch.keep(dict(zip(questions, looked.answers, strict=False)), target)
    return looked


def _renew(own: Lease) -> None:
    """Keep the lease for as long as this run lives."""
    while True:
        gevent.sleep(lease.RENEW_SECONDS)
        _tell_all(own, "renew")


def _tell_all(own: Lease, action: str) -> None:
    gevent.joinall([gevent.spawn(_tell, own, target, action) for target in tuple(own.hosts)])


def _tell(own: Lease, target: Host, action: str) -> None:
    """Renew or release the lease of a host; one that cannot be told lets it expire."""
    with suppress(Exception), gevent.Timeout(TELL_SECONDS, OSError("no answer")):
        carry_out(target, lease.command(action, own.holder.run))


def take_and_ask(doing: str, others: Sequence[str]) -> LeaseReply | None:
    """Take the lease of the current host and of others, and ask them ahead; None if the host gives no answer.

    + doing: what this run does, as others are told
    + others: their names in the inventory
    """
    how = taking(doing)
    if how:
        with also(how, others):
            return _ask_ahead(current_host(), how)
    questions = prefetch.planned()
    answers = get(host, Answers, questions=questions)
    if answers is None:
        return None
    prefetch.keep(dict(zip(questions, answers, strict=False)))
    return LeaseReply(answers=answers)


@operation()
def look(doing: str, others: Sequence[str] = ()) -> Generator[StringCommand, None, None]:
    """
    Take the host's lease and ask it, in one command, all that the operations want to know. To be called first.

    + doing: what this run does, as others are told
    + others: names in the inventory of hosts outside `--limit` whose lease this one takes along with its own

    To be called on every host. Ends the run if another one has the lease of any host. While pyinfra only looks for
    changes, no lease is taken. Idempotent: changes nothing else, and a lease that this run has stays.
    """
    looked = take_and_ask(doing, others)
    yield from refuse()
    if looked is None:
        yield stop(f"{host.name} does not answer; make it reachable and run again.")
    elif looked.busy:
        yield stop("an earlier run is still at work on this host; wait for it to end, then run again.")
    else:
        host.noop("it answers")


@operation(is_idempotent=False)
def end() -> Generator[StringCommand, None, None]:
    """
    End whoever's lease of this host; the orders of who had it are refused from now on.

    Idempotent: where nobody has it, only the number that orders are compared with goes up.
    """
    if not is_executing():
        yield StringCommand("true")
        return
    had = get(host, BreakLease)
    host.log(f"ended the lease of: {had.holder}" if had else "nobody had the lease")
    host.noop("nobody has the lease")
