"""Whose lab it is that has this name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.lab import engine, state


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
