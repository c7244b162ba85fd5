"""What a look at the cluster brings to light, for `verify` and `status`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pydantic import BaseModel

# The remedy of what a deploy puts right.
DEPLOY = "run the deploy (`pyinfra inventory.py deploy.py`)"


class Level(IntEnum):
    """How bad it is; the numbers are the exit codes that monitoring systems know."""

    FINE = 0
    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True)
class NamedState:
    """A state of hosts that are not well, by the name that users see.

    Whoever owns a state defines it once; causes, arrows and checks refer to that.
    """

    name: str

    def matches(self, finding: Finding) -> bool:
        """Tell whether a finding is of this state."""
        return finding.state == self.name


class Finding(BaseModel, frozen=True):
    """One thing that is not as it should be, on one host.

    `state` is its name, such as "replica stopped". `about` tells findings of one state on one host apart: another host,
    or a path.
    """

    state: str
    level: Level
    host: str
    found: str
    wanted: str
    remedy: str
    about: str = ""
