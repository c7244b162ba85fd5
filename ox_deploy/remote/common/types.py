"""What the programs call what they are given and what they return."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import DictCursor

# One JSON document, or a row of a query.
Document: TypeAlias = dict[str, Any]
# What came of a command.
Done: TypeAlias = subprocess.CompletedProcess[str]
# A session with a database server; the driver may be missing, and is imported where it is used.
Session: TypeAlias = "Connection[DictCursor]"
Cursor: TypeAlias = "DictCursor"
