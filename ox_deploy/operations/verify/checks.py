"""How a check is made and noted: an operation that examines the current host and has a verdict."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.verify import Trial
from ox_deploy.findings import Finding, Level
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.pyinfra_internals import is_executing, set_inner
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import current_run

P = ParamSpec("P")
T = TypeVar("T")
TrialT = TypeVar("TrialT", bound=Trial)


@dataclass(frozen=True)
class Verdict:
    """What a check measured, in words, and what is not as it should be.

    `skipped` says why it was not tried: because of something that another check has found.
    """

    measured: str = ""
    findings: Sequence[Finding] = ()
    skipped: str = ""


@dataclass(frozen=True)
class Record:
    """The verdict of a check on a host."""

    check: str
    host: str
    verdict: Verdict


class CouldNotRun(Exception):
    """A check could not be made; the message says why, and `remedy` what to do."""

    def __init__(self, message: str, remedy: str = "fix what the message names, and run again") -> None:
        super().__init__(message)
        self.remedy = remedy


def check(
    title: str,
    asks: Callable[..., Question[Any]] | None = None,
    peers: Callable[..., Sequence[tuple[str, Question[Any]]]] | None = None,
) -> Callable[[Callable[P, Verdict]], Callable[P, None]]:
    """Turn a function that examines the current host into an operation with this title.

    + asks: returns what it asks of the host, if that can be asked ahead; called with the operation's arguments
    + peers: the same for other hosts, each with its name in the inventory

    An exception is a finding, too: the check could not run. Facts that fail do not end the run for their host.
    """

    def decorate(examine: Callable[P, Verdict]) -> Callable[P, None]:
        @wraps(examine)
        def commands(*args: P.args, **kwargs: P.kwargs) -> Generator[StringCommand, None, None]:
            if is_executing():
                _note(title, lambda: examine(*args, **kwargs))
            else:
                # A test is no change, but the plan shows it.
                yield StringCommand("true")

        plain: Any = operation()(commands)
        call = prefetch.asks(asks, peers=peers)(plain) if asks else plain

        @wraps(examine)
        def checked(*args: P.args, **kwargs: P.kwargs) -> None:
            call(*args, name=title, _ignore_errors=True, **kwargs)

        set_inner(checked, commands)
        return checked

    return decorate


def _note(title: str, examine: Callable[[], Verdict]) -> None:
    try:
        verdict = examine()
    except Exception as error:
        verdict = Verdict(findings=[_could_not_run(error)])
    current_run().records.append(Record(title, host.name, verdict))
    for finding in verdict.findings:
        host.log(f"{finding.state}: {finding.found}; it should be: {finding.wanted}; {finding.remedy}.")
    if not verdict.findings:
        host.noop(verdict.skipped or verdict.measured or "it holds")


def _could_not_run(error: Exception) -> Finding:
    known = error if isinstance(error, CouldNotRun) else CouldNotRun(str(error) or type(error).__name__)
    return problem("check could not run", str(known), "the host runs the test and reports the result", known.remedy)


def problem(state: str, found: str, wanted: str, remedy: str, level: Level = Level.CRITICAL) -> Finding:
    """Return a finding on the current host."""
    return Finding(state=state, level=level, host=host.name, found=found, wanted=wanted, remedy=remedy)


def passed(title: str) -> bool:
    """Tell whether an earlier check was made on this host and found nothing."""
    verdict = next(
        (record.verdict for record in current_run().records if (record.check, record.host) == (title, host.name)), None
    )
    return verdict is not None and not verdict.findings and not verdict.skipped


def failed(title: str, name: str) -> bool:
    """Tell whether a check has found something on another host by now; all hosts are examined at the same time."""
    return any(
        record.verdict.findings for record in current_run().records if (record.check, record.host) == (title, name)
    )


def answer_or_fail(question: Question[T]) -> T:
    """Return the host's answer; raises CouldNotRun if it gives none."""
    answer = ask(host, question)
    if answer is None:
        raise CouldNotRun(f"the host did not answer when it was asked for {question!r}")
    return answer


def trial_or_fail(trial: TrialT) -> TrialT:
    """Return a test that could be made; raises CouldNotRun with its reason if not."""
    if trial.error:
        raise CouldNotRun(trial.error)
    return trial
