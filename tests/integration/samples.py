"""Tests of many cases of a kind: some of them run on each change, the others in `script/test --all`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[str], sample: Iterable[str]) -> list[Any]:
    """Return the cases as parameters; those that are not in the sample are marked as thorough."""
    names, chosen = list(cases), set(sample)
    assert chosen <= set(names), chosen - set(names)
    return [pytest.param(name, marks=[] if name in chosen else [pytest.mark.thorough]) for name in names]


def together(cases: Iterable[str], *groups: Iterable[str]) -> list[Any]:
    """Return groups of cases that are tried at once as parameters, and each case alone, which is marked as thorough.

    What is found in a group is compared with all that was broken: nothing may be missing and nothing be too much.
    """
    names, sets = list(cases), [tuple(group) for group in groups]
    grouped = [name for group in sets for name in group]
    assert set(grouped) <= set(names), set(grouped) - set(names)
    assert len(set(grouped)) == len(grouped), "a case is in two groups"
    alone = [(name,) for name in names if (name,) not in sets]
    return [
        *(pytest.param(group, id=f"{group[0]} and {len(group) - 1} more" if group[1:] else group[0]) for group in sets),
        *(pytest.param(single, id=single[0], marks=pytest.mark.thorough) for single in alone),
    ]
