"""What a server says of its replication, with the same names of columns whichever server it is."""

from __future__ import annotations

from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.mysql.session import dialect


def replica_status(session: Session) -> Document | None:
    """Return how a server replicates, with the same names of columns whichever server it is; None if it does not."""
    names = dialect(session)
    for row in rows(session, "SHOW {replica} STATUS".format(**names)):
        # Other channels are somebody else's.
        if not row.get("Channel_Name"):
            return {ours(column, names["columns"]): value for column, value in row.items()}
    return None


def named_connections(session: Session) -> list[Document]:
    """Return how a server replicates by connections that have a name, with the same names of columns."""
    names = dialect(session)
    found = rows(session, names["show_connections"])
    # The members of a group replicate by channels of their own.
    named = [row for row in found if row.get(names["connection"])]
    return [
        {ours(column, names["columns"]): value for column, value in row.items()}
        for row in named
        if not row[names["connection"]].startswith("group_replication_")
    ]


def status_as_replica(session: Session) -> Document:
    """Return the same of a server that is known to replicate."""
    status = replica_status(session)
    assert status is not None, "this server replicates from nobody"
    return status


def ours(column: str, columns: dict[str, str]) -> str:
    """Return the name that we use for a column."""
    for own, its in columns.items():
        column = column.replace(its, own)
    return column


def is_using_gtid(status: Document, names: Document) -> bool:
    """Tell from a replica's status whether it keeps its place by GTID."""
    return any(status.get(column) in values for column, values in names["using_gtid"].items())


def without_statement(error: str) -> str:
    """Return a replica's error without the statement that failed, which may hold a password or customers' data."""
    return error.partition(" Query: '")[0]
