"""What all programs need that talk to a database server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ox_deploy.remote.common.types import Document, Session

# What a session begins with: its statements mean the same, and what is shown has its names in backticks, whatever modes
# the server has.
FIXED_MODE = "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', sql_quote_show_create = 1"


def driver() -> Any:
    """Return pymysql, which a host may lack."""
    import pymysql

    return pymysql


def rows(session: Session, statement: str, values: Sequence[Any] | None = None) -> list[Document]:
    """Return the rows of a query."""
    with session.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def value_of(session: Session, expression: str, values: Sequence[Any] | None = None) -> Any:
    """Return the value of an SQL expression."""
    return rows(session, f"SELECT {expression} AS value", values)[0]["value"]
