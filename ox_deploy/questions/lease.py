"""The lease of the cluster: one run at a time changes it. What this run has of it, and who else may have it.

It is kept on the hosts (remote/lease.sh), each of which counts who took it. That number goes with every order, and the
host refuses an order of a run that does not hold its lease any more.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import gevent
from pyinfra.api import Host, StringCommand

from ox_deploy.questions.program import QUESTION_SECONDS, FactCommand, shell_command, shell_commands
from ox_deploy.questions.pyinfra_internals import current_host
from ox_deploy.questions.run import current_run

# For how long a lease lasts after it was taken or renewed, and how often it is renewed.
LIFETIME_SECONDS = 60
RENEW_SECONDS = 15
# Who took it so short a time ago may be one of two that began together; one of them steps back.
CONTEND_SECONDS = 3
RELEASE = "pyinfra -y inventory.py ox_deploy.deploys.lease.release"


@dataclass(frozen=True)
class Holder:
    """Who has a lease: a user on a control machine, since when (seconds since 1970, by its clock), doing what.

    `place` tells its process from all others, wherever they run; "" if that cannot be told there.
    """

    run: str
    user: str
    machine: str
    process: int
    begun: float
    doing: str
    place: str = ""

    def is_dead(self) -> bool:
        """Tell whether it ran on this machine, and runs no more. Of one elsewhere nothing is known."""
        here, _, _ = process_identity(os.getpid()).rpartition(" ")
        return bool(here) and self.place.startswith(f"{here} ") and process_identity(self.process) != self.place

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.begun))
        return f"{self.doing}, by {self.user} on {self.machine} (process {self.process}), since {since}"


def process_identity(process: int) -> str:
    """Return what is true of a process on this machine and of no other one, "" if it is gone or that is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        status = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        # A process number means something within its namespace only; after the state, the 20th field is its start.
        return "" if status[0] == "Z" else f"{boot} {Path('/proc/self/ns/pid').readlink()} {status[19]}"
    except OSError:
        return ""


def holder_of(text: str) -> Holder:
    """Return who a host says has its lease."""
    return Holder(**json.loads(text))


@dataclass(frozen=True)
class Answer:
    """What a host said when it was asked for its lease.

    `number` is set if it was given; `over` is then who had it and let it expire. Otherwise `holder` has it, for `left`
    seconds, and took it `age` seconds ago.
    """

    number: int | None = None
    over: Holder | None = None
    holder: Holder | None = None
    left: int = 0
    age: int = 0


def answer_of(lines: list[str]) -> Answer | None:
    """Return what a host's lines beginning with `lease` say, None if there is none."""
    over = None
    for line in lines:
        word, _, rest = line.removeprefix("lease ").partition(" ")
        if word == "over":
            over = holder_of(rest)
        elif word == "taken":
            return Answer(number=int(rest), over=over)
        elif word == "held":
            left, age, who = rest.split(" ", 2)
            return Answer(holder=holder_of(who), left=int(left), age=int(age))
    return None


@dataclass
class Lease:
    """What this run has of the lease: who it is, the numbers that the hosts gave it, and why it may not go on.

    `hosts` are those that were asked. `renewing` is at work as soon as there is one. `took_over` and `told` note that
    it was said that it took over from a dead run, and why it may not go on.
    """

    holder: Holder
    hosts: set[Host] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    renewing: gevent.Greenlet[[Lease], None] | None = None
    refused: str | None = None
    took_over: bool = False
    told: bool = False

    @property
    def info(self) -> str:
        """Return who it is, as the hosts keep it."""
        return json.dumps(asdict(self.holder))

    def may_wait_for(self, answer: Answer) -> bool:
        """Tell whether the other one steps back if both began together: who began first goes on."""
        other = answer.holder
        if other is None or answer.age > CONTEND_SECONDS:
            return False
        return (self.holder.begun, self.holder.process) < (other.begun, other.process)


def begin(doing: str) -> Lease:
    """Return what this run has of the lease; `doing` says what it does, as others are told. The same each time."""
    run = current_run()
    if run.lease is None:
        process = os.getpid()
        who = (run.id, getpass.getuser(), socket.gethostname(), process, time.time())
        run.lease = Lease(Holder(*who, doing, process_identity(process)))
    return run.lease


def ticket(to: Host | None = None) -> list[int | str]:
    """Return what an order to a host, or to the current one, shows of the lease; nothing if none was asked for."""
    own = current_run().lease
    if own is None:
        return []
    return [own.numbers.get((to or current_host()).name, 0), own.holder.run]


@dataclass(frozen=True)
class Taking:
    """What a host is told by who takes its lease: run, who that is, how long to wait for an earlier one's program.

    `dead` is the run that is known to be dead, whose lease is not waited for.
    """

    run: str
    info: str
    wait: int = 600
    dead: str = ""


def command(action: str, run: str, *arguments: str) -> StringCommand:
    """Return the command that runs lease.sh."""
    return shell_command("lease", action, run, *arguments)


def with_lease(taking: Taking, asking: FactCommand, *first: Sequence[str]) -> FactCommand:
    """Return the command that takes the lease of a host, and runs another one if it was given.

    + first: shell programs to run before that one, in the shell that takes the lease, by names and arguments
    """
    take = ("lease", "take", taking.run, str(LIFETIME_SECONDS), str(taking.wait), taking.info, taking.dead)
    begin = shell_commands(take, *first)
    # Who sends has to find somebody who reads.
    return FactCommand(begin, "|| { cat >/dev/null; exit 0; };", asking, seconds=taking.wait + QUESTION_SECONDS)


def refusal(name: str, answer: Answer) -> str:
    """Return the sentence for who comes second."""
    return (
        f"another run is at work: {answer.holder}; it holds the lease on {name}. Nothing was changed; run again when "
        f"it has ended. If it is dead, its lease expires in {max(answer.left, 0)} s; `{RELEASE}` ends it now."
    )


def taken_over(over: Holder) -> str:
    """Return the sentence for who takes over from a run that is dead."""
    return f"took over the lease of a dead run: {over}"
