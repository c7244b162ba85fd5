"""Statements on a MySQL server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pymysql.cursors
from errors import StorageError
from settings import Address

TIMEOUT = 15


class Session:
    """One connection, one transaction: rolled back when its block ends with an error."""

    def __init__(self, connection: "pymysql.connections.Connection") -> None:
        self._connection = connection

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with self._connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def value(self, statement: str, *values: Any) -> Any:
        """The first column of the first row, None when there is no row."""
        rows = self.rows(statement, *values)
        return next(iter(rows[0].values())) if rows else None

    def change(self, statement: str, *values: Any) -> int:
        with self._connection.cursor() as cursor:
            return int(cursor.execute(statement, values or None))


@contextmanager
def session(address: Address) -> Iterator[Session]:
    try:
        connection = connect(address)
        try:
            yield Session(connection)
            connection.commit()
        finally:
            connection.close()
    except pymysql.MySQLError as error:
        raise StorageError(error.args[-1] if error.args else str(error)) from error


def connect(address: Address) -> "pymysql.connections.Connection":
    return pymysql.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        database=address.schema or None,
        charset="utf8",
        connect_timeout=TIMEOUT,
        read_timeout=TIMEOUT,
        write_timeout=TIMEOUT,
    )


def statements(script: str) -> list[str]:
    """The statements of an SQL file without stored procedures."""
    lines = (line for line in script.splitlines() if not line.startswith("--"))
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]
