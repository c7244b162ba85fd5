"""Whether the hosts' clocks are the same, by what each said when it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median_low

CLOCK_SECONDS = 5


@dataclass(frozen=True)
class ClockReading:
    """A host's clock in seconds since 1970, and between which times of this machine's clock it was read."""

    time: float
    asked: float = 0
    answered: float = 0

    @property
    def ahead(self) -> float:
        """Return by how much it is ahead of this machine's clock, if it was read halfway."""
        return self.time - (self.asked + self.answered) / 2

    @property
    def doubt(self) -> float:
        """Return by how much that may be wrong."""
        return (self.answered - self.asked) / 2


def apart(readings: Mapping[str, ClockReading]) -> dict[str, float]:
    """Return by how many seconds the clocks are ahead of most others that differ from them for certain."""
    if not readings:
        return {}
    agreed = median_low(reading.ahead for reading in readings.values())
    doubt = min(reading.doubt for reading in readings.values() if reading.ahead == agreed)
    ahead = {name: reading.ahead - agreed for name, reading in readings.items()}
    return {
        name: seconds for name, seconds in ahead.items() if abs(seconds) - readings[name].doubt - doubt > CLOCK_SECONDS
    }


def direction(seconds: float) -> str:
    """Say how far a clock is ahead of the others, or behind them."""
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the others"
