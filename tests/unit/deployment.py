"""The real deploy.py on pretended hosts: pyinfra prepares it as on its command line, but asks and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyinfra
import pytest
from pyinfra.api import FactBase, StringCommand
from pyinfra.api.config import Config
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State, StateStage
from pyinfra_cli.util import load_deploy_file, load_func

from ox_deploy.facts.hosts import HostState, HostStatus
from ox_deploy.facts.lease import LeaseReply, TakeLease
from ox_deploy.questions import lease
from tests.unit.fakes import current

DEPLOY = str(Path(__file__).parents[2] / "deploy.py")


class Step(NamedTuple):
    """An operation on a host."""

    chapter: str
    name: str
    host: str


class Question(NamedTuple):
    """A fact that was asked."""

    host: str
    fact: type[FactBase[Any]]
    arguments: dict[str, Any]


class Deployment:
    """deploy.py, or another deploy, prepared for hosts on which there is nothing yet; `lost` ones are away."""

    def __init__(
        self,
        inventory: Inventory,
        limit: Iterable[str] | None,
        check: bool,
        deploy: Callable[[], object] | None,
        lost: Iterable[str],
        states: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.inventory, self.deploy, self.states = inventory, deploy, states
        hosts = [inventory.get_host(name) for name in limit] if limit else list(inventory)
        config: Any = Config()
        config.lock_current_state()
        self.state = State(inventory, config, check_for_changes=check, initial_limit=hosts)
        for host in hosts:
            self.state.activate_host(host)
        for host in inventory:
            # Each host has its own, which comes before the method of its class.
            vars(host).update(connected=True, get_fact=partial(self.answer, host))
        for name in lost:
            self.state.active_hosts.discard(inventory.get_host(name))
            self.state.failed_hosts.add(inventory.get_host(name))
        self.questions: list[Question] = []

    def load(self) -> None:
        self.state.current_stage = StateStage.Prepare
        if self.deploy:
            load_func(self.state, self.deploy)
        else:
            load_deploy_file(self.state, DEPLOY)

    def answer(self, host: Host, fact: type[FactBase[Any]], **arguments: Any) -> Any:
        """Answer as a bare Debian host without Python does, with what is different on some of them."""
        # As in pyinfra, its own arguments are no arguments of the fact.
        own = {name: value for name, value in arguments.items() if not name.startswith("_")}
        self.questions.append(Question(host.name, fact, own))
        if fact is HostState:
            given = lease.Answer(number=1)
            bare = HostStatus(system="debian 12", init="systemd", addresses=[host.data.address], lease=given)
            return replace(bare, **self.states.get(host.name, {}))
        if fact is TakeLease:
            return LeaseReply(lease.Answer(number=1))
        return fact().process(["{}"])

    def steps(self) -> list[Step]:
        """Every operation on every host, in the order in which pyinfra runs them."""
        found = []
        for number in self.state.get_op_order():
            (name,) = self.state.get_op_meta(number).names
            chapter, _, name = name.partition(" | ")
            found += [Step(chapter, name, host.name) for host in self.inventory if number in self.state.ops[host]]
        return found

    def commands(self) -> Iterator[tuple[Step, StringCommand]]:
        """What each operation would do to the bare host."""
        for number in self.state.get_op_order():
            (name,) = self.state.get_op_meta(number).names
            chapter, _, name = name.partition(" | ")
            for host in self.inventory:
                if number in self.state.ops[host]:
                    with current(host=host, state=self.state):
                        for command in self.state.get_op_data_for_host(host, number).command_generator():
                            assert isinstance(command, StringCommand)
                            yield Step(chapter, name, host.name), command


@contextmanager
def prepared(
    monkeypatch: pytest.MonkeyPatch,
    inventory: Inventory,
    limit: Iterable[str] | None = None,
    check: bool = False,
    deploy: Callable[[], object] | None = None,
    lost: Iterable[str] = (),
    states: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Deployment]:
    """Load deploy.py, or `deploy`, for the hosts of an inventory; `check` lets pyinfra look for changes.

    + states: by host, what is different from a bare one
    """
    deployment = Deployment(inventory, limit, check, deploy, lost, states or {})
    # The order comes from line numbers, as on the command line only.
    monkeypatch.setattr(pyinfra, "is_cli", True)
    with current(state=deployment.state, inventory=inventory):
        deployment.load()
        yield deployment
