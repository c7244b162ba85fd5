"""What Open-Xchange may do at a database server, and what it registers in configdb."""

from __future__ import annotations

from ox_deploy.operations.openxchange.wanted import ConfigdbLayout
from ox_deploy.products.ox6.configuration import ADMIN_CONFIGDB, FOLDER

# The vendor's list for the account `openexchange`, with the routines that the 6.x tables need on top.
# Not ALL PRIVILEGES as in the guide: that holds the right to write on a read-only replica.
PRIVILEGES = frozenset(
    {
        "ALTER",
        "ALTER ROUTINE",
        "CREATE",
        "CREATE ROUTINE",
        "CREATE TEMPORARY TABLES",
        "DELETE",
        "DROP",
        "EXECUTE",
        "INDEX",
        "INSERT",
        "LOCK TABLES",
        "REFERENCES",
        "SELECT",
        "SHOW DATABASES",
        "SHOW VIEW",
        "UPDATE",
    }
)

# The tables of 6.x; rows in two of them are there before anything is registered.
CONFIGDB = ConfigdbLayout(
    file=f"{FOLDER}/{ADMIN_CONFIGDB}",
    tables={
        "configdb_sequence": False,
        "context": True,
        "context_server2db_pool": True,
        "db_cluster": True,
        "db_pool": True,
        "filestore": True,
        "login2context": True,
        "reason_text": False,
        "server": True,
    },
)

ACCESS_COMBINATIONS = (
    "webmail",
    "pim",
    "webmail_plus",
    "pim_infostore",
    "groupware",
    "groupware_standard",
    "groupware_premium",
    "all",
)
