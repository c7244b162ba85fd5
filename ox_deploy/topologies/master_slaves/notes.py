"""What operations note for one that follows in the same run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ox_deploy.questions.run import current_run

if TYPE_CHECKING:
    from ox_deploy.facts.mysql import MysqlStatus
    from ox_deploy.topologies.master_slaves.switch_rules import Phase


@dataclass
class Notes:
    """What is known of a run; nothing is asked again for it, since nobody asks while writes are down."""

    # What `roles.check_roles` saw of the host's own server, for `roles.configure`, by the host's inventory name.
    statuses: dict[str, MysqlStatus] = field(default_factory=dict)
    # What is to be done if a replica is the master, by its name.
    remedies: dict[str, str] = field(default_factory=dict)
    # What it saw of all of them, for the collations that they should have in common.
    servers: dict[str, MysqlStatus] = field(default_factory=dict)
    # How far the switch is, by the name of the new master, and who is open and replicates from nobody.
    phases: dict[str, Phase] = field(default_factory=dict)
    promoted: set[str] = field(default_factory=set)


def notes() -> Notes:
    """Return those of the run that is under way."""
    return current_run().notes(Notes)
