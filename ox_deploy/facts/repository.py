"""Whether a host can fetch from the package repository."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact
from ox_deploy.secrets import Secret


class Access(BaseModel, frozen=True):
    """Why apt cannot fetch from there, in its own words; None if it can, or uses it already."""

    error: str | None = None


class RepositoryAccess(JsonFact[Access]):
    """Whether apt can fetch from a repository, asked of its server only where apt does not use it yet."""

    def command(self, url: str, sources: str, source: str, credentials: str, login: Secret | None = None) -> Program:
        """Ask for the release file at `url`, unless the files `sources` and `credentials` say `source` and `login`.

        This is the only secret that a question takes: it shows itself in no output, and goes by standard input.
        """
        files = {
            "sources": sources,
            "source": source,
            "credentials": credentials,
            "login": login.reveal() if login else None,
        }
        return Program("repository_state", {"url": url, **files})

    def parse(self, document: dict[str, Any]) -> Access:
        """Return the typed form."""
        return Access.model_validate(document)
