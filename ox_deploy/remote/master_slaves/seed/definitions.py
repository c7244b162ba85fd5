"""Views, routines, triggers and events that cannot be dumped: each is asked for what a dump asks of it.

No table's data is opened for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.master_slaves.seed.accounts import identifier

# More are not told: who mends these asks again.
TOLD = 20
# By what they are: which there are, and what a dump asks of each.
VIEW = (
    "SELECT 'view' AS what, TABLE_SCHEMA AS place, TABLE_NAME AS name FROM information_schema.TABLES"
    " WHERE TABLE_TYPE = 'VIEW' AND TABLE_SCHEMA IN %s",
    "SHOW FIELDS FROM {name}",
)
OTHERS = [
    (
        f"SELECT {what} AS what, {kind}_SCHEMA AS place, {kind}_NAME AS name"  # noqa: S608 - names of ours
        f" FROM information_schema.{kind}S WHERE {kind}_SCHEMA IN %s",
        "SHOW CREATE {what} {name}",
    )
    for kind, what in (("ROUTINE", "LOWER(ROUTINE_TYPE)"), ("TRIGGER", "'trigger'"), ("EVENT", "'event'"))
]


def broken_definitions(session: Session, databases: list[str]) -> list[Document]:
    """Return what they are, their names, and why they cannot be dumped."""
    return list(islice(faults(session, databases), TOLD)) if databases else []


def faults(session: Session, databases: list[str]) -> Iterator[Document]:
    """Ask for each of them."""
    for query, question in (VIEW, *OTHERS):
        for row in rows(session, query, [databases]):
            name = "{}.{}".format(identifier(row["place"]), identifier(row["name"]))
            error = fault(session, question.format(what=row["what"], name=name))
            if error:
                yield {"what": row["what"], "name": "{place}.{name}".format(**row), "error": error}


def fault(session: Session, question: str) -> str:
    """Return why a server does not answer, "" if it does."""
    try:
        rows(session, question)
    except Exception as error:
        number, text = (*error.args, "", "")[:2]
        # The server itself has no errors of these numbers: it is gone.
        if not isinstance(number, int) or 2000 <= number < 3000:
            raise
        return f"{text} ({number})"
    return ""
