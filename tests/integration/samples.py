"""Tests of many cases of a kind: a sample runs on each change, the others in `script/test --all`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[str], sample: Iterable[str]) -> list[Any]:
    """Return the cases as parameters; those that are not in the sample are marked as thorough."""
    names, chosen = list(cases), set(sample)
    assert chosen <= set(names), chosen - set(names)
    return [pytest.param(name, marks=[] if name in chosen else [pytest.mark.thorough]) for name in names]
