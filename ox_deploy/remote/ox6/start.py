"""Start or restart the daemons, and have the groupware daemon take a login by AJP."""

from __future__ import annotations

from ox_deploy.remote.common.types import Document
from ox_deploy.remote.daemons.start import daemons_start
from ox_deploy.remote.ox6.ajp import login_problem


def ox6_start(job: Document) -> None:
    """Do it."""
    daemons_start(job, login_problem)
