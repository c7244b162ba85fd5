"""What a groupware node should be like while the database servers change their roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyinfra import host

from ox_deploy.operations.openxchange import configuration, registration
from ox_deploy.operations.openxchange.configuration import WantedConfiguration
from ox_deploy.operations.openxchange.wanted import WantedRegistration
from ox_deploy.questions.ask import ask
from ox_deploy.questions.question import Question


@dataclass(frozen=True)
class WantedNode:
    """A groupware node: its files, and, where it is the one that is asked for that, what configdb should hold."""

    name: str
    configuration: WantedConfiguration
    registration: WantedRegistration | None = None

    def questions(self) -> list[Question[Any]]:
        """Return what has to be known of it."""
        found: list[Question[Any]] = [configuration.question(self.configuration)]
        return found + ([registration.question(self.registration)] if self.registration else [])

    def problems(self) -> list[str]:
        """Ask the current host, which is this node, and return what is not as it should be."""
        differences = self.configuration.differences(ask(host, configuration.question(self.configuration)))
        obstacle = self.registration and self.registration.obstacle(registration.found_for(self.registration))
        problems = [f"{self.name}: its configuration differs from the inventory ({', '.join(differences)}); deploy"]
        return (problems if differences else []) + ([obstacle.rstrip(".")] if obstacle else [])
