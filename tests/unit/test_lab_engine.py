"""Whose lab it is that has this name, and when it is ready."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.errors import NotFound
from docker.models.containers import ContainerCollection

from ox_deploy.products import PRODUCTS
from tests.lab import engine, ready, state
from tests.lab.state import Node, State


def client(checkout: Path) -> Any:
    """An engine in which a lab's node is up that was made by a checkout."""
    labels = {"oxlab.name": "web", "oxlab.checkout": str(checkout)}
    return SimpleNamespace(containers=SimpleNamespace(list=lambda **_: [SimpleNamespace(labels=labels)]))


def test_lab_of_another_checkout_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "tests" / "lab").mkdir(parents=True)
    with pytest.raises(engine.LabError) as raised:
        engine.containers(client(tmp_path))
    assert f"belongs to {tmp_path}" in str(raised.value)
    assert "`script/demo down`" in str(raised.value)
    assert "`OXLAB=NAME`" in str(raised.value)


def test_lab_of_this_checkout_or_of_one_that_is_gone_is_taken(tmp_path: Path) -> None:
    assert list(engine.containers(client(state.ROOT))) == ["web"]
    assert list(engine.containers(client(tmp_path / "gone"))) == ["web"]


class Docker:
    """An engine's API that lists two containers, one of which is gone when it is looked at."""

    def containers(self, **_: Any) -> list[dict[str, str]]:
        return [{"Id": "web"}, {"Id": "gone"}]

    def inspect_container(self, number: str) -> dict[str, Any]:
        if number == "gone":
            raise NotFound("No such container: gone")
        return {"Id": number, "Config": {"Labels": {"oxlab.name": number}}}


def test_container_that_goes_away_while_the_lab_is_listed_is_left_out() -> None:
    containers = ContainerCollection(client=cast(Any, SimpleNamespace(api=Docker())))
    assert list(engine.containers(cast(Any, SimpleNamespace(containers=containers)))) == ["web"]


def test_node_is_ready_when_each_of_its_daemons_listens() -> None:
    node = Node("oxgw01", "groupware", "192.0.2.11", "lab-oxgw01")
    conditions = ready.conditions(node, State({"oxgw01": node}, "192.0.2.0/24", "mariadb-10.11"))
    for port in PRODUCTS["ox6"].ports.values():
        assert any(f"sport = :{port}'" in condition for condition in conditions)
