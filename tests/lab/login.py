"""Where and as whom a person can log in to the lab's groupware."""

from __future__ import annotations

import tomllib

from tests.lab import state

USER = "testuser"


def text() -> str:
    web = state.load().with_role("web")[0]
    lines = [f"https://{web.address}/", f"user:     {USER}", f"password: {password()}"]
    return "\n".join(lines)


def password(user: str = USER) -> str:
    """A user's password, as the deployment was given it."""
    try:
        return str(tomllib.loads(state.SECRETS.read_text())[f"context_1_{user}"])
    except (FileNotFoundError, KeyError):
        raise state.LabDown("The test user has no password yet: deploy to the lab first.") from None
