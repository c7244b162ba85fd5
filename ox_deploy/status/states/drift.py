"""What a deploy would change."""

from __future__ import annotations

from collections.abc import Iterator

from ox_deploy.findings import Level
from ox_deploy.status.seen import Drift
from ox_deploy.status.states.base import Observation, Problem, state


@state(
    "configuration drifted",
    Level.WARNING,
    "run the deploy (`pyinfra inventory.py deploy.py`); with `--dry` it shows what it would do and changes nothing",
)
def configuration_drifted(observed: Observation) -> Iterator[Problem]:
    """Find hosts on which a deploy would do something."""
    for seen in observed.answering(observed.cluster.nodes):
        if seen.drift:
            yield Problem(
                seen.node,
                f"a deploy has something to do in: {'; '.join(_described(drift) for drift in seen.drift)}",
                "the host is as a deploy leaves it",
            )


def _described(drift: Drift) -> str:
    return f"{drift.name} ({drift.sentence})" if drift.sentence else drift.name
