"""The accounts of the master, which a replica needs as well if it is to become a master one day."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.mysql.session import dialect

# Whose it is, and the text.
AccountStatement: TypeAlias = tuple[str, str]
# An account of a host's name, on a server that does not look up names.
NOT_IN_USE = 1133
# Only what is stored tells who has a role, and whose it is by default.
NAME = "`(?:[^`]|``)*`@`(?:[^`]|``)*`"
DEFAULT_ROLES = re.compile(f" DEFAULT ROLE {NAME}(?:,{NAME})*")
ROLES_OF_MYSQL = """
SELECT FROM_USER, FROM_HOST, TO_USER, TO_HOST, WITH_ADMIN_OPTION FROM mysql.role_edges ORDER BY 1, 2, 3, 4
"""
DEFAULTS_OF_MYSQL = """
SELECT DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST, USER, HOST FROM mysql.default_roles ORDER BY 3, 4, 1, 2
"""


def read_accounts(master: Session, throw_away: str) -> list[AccountStatement]:
    """Return what makes each account and role, and their rights after all of them, as (whose, statement)."""
    names = dialect(master)
    read = read_mariadb if names["server"] == "MariaDB" else read_mysql
    return read(master, lambda user, host: user != throw_away and (user, host) not in names["own_accounts"])


def read_mariadb(master: Session, is_wanted: Callable[[str, str], bool]) -> list[AccountStatement]:
    """Return all of it; roles are no accounts."""
    query = "SELECT User AS user, Host AS host, is_role FROM mysql.user ORDER BY is_role = 'Y' DESC, user, host"
    made, granted = [], []
    for row in rows(master, query):
        if not is_wanted(row["user"], row["host"]):
            continue
        try:
            who, statements = statements_for(master, row)
            granted += [(who, grant) for grant in grants_of(master, who)]
            made += statements
        except Exception as error:
            if error.args[0] != NOT_IN_USE:
                raise
    return made + granted


def statements_for(master: Session, row: Document) -> tuple[str, list[AccountStatement]]:
    """Return the name of an account or role in quotes, and what makes it."""
    if row["is_role"] != "Y":
        who = account(row["user"], row["host"])
        create = only_value(master, "SHOW CREATE USER " + who)
        return who, [(who, create.replace("CREATE", "CREATE OR REPLACE", 1))]
    if row["user"] == "PUBLIC":
        return "PUBLIC", []
    who = identifier(row["user"])
    return who, [(who, "CREATE OR REPLACE ROLE " + who)]


def read_mysql(master: Session, is_wanted: Callable[[str, str], bool]) -> list[AccountStatement]:
    """Return all of it; a role is an account, and any account may be the role of another one."""
    with master.cursor() as cursor:
        # Stored passwords have bytes that are no text.
        cursor.execute("SET SESSION print_identified_with_as_hex = ON")
    made, granted = [], []
    for row in rows(master, "SELECT User AS user, Host AS host FROM mysql.user ORDER BY user, host"):
        if is_wanted(row["user"], row["host"]):
            who = account(row["user"], row["host"])
            create = only_value(master, "SHOW CREATE USER " + who)
            made += [(who, "DROP USER IF EXISTS " + who), (who, DEFAULT_ROLES.sub("", create, count=1))]
            granted += [(who, grant) for grant in grants_of(master, who) if not grant.startswith("GRANT `")]
    return made + granted + roles_of(master, is_wanted)


def roles_of(master: Session, is_wanted: Callable[[str, str], bool]) -> list[AccountStatement]:
    """Return what gives the roles to accounts and makes them their default ones."""
    granted, default = [], dict[str, list[str]]()
    for row in rows(master, ROLES_OF_MYSQL):
        if is_wanted(row["TO_USER"], row["TO_HOST"]):
            who = account(row["TO_USER"], row["TO_HOST"])
            option = " WITH ADMIN OPTION" if row["WITH_ADMIN_OPTION"] == "Y" else ""
            granted.append((who, "GRANT {} TO {}{}".format(account(row["FROM_USER"], row["FROM_HOST"]), who, option)))
    for row in rows(master, DEFAULTS_OF_MYSQL):
        if is_wanted(row["USER"], row["HOST"]):
            role = account(row["DEFAULT_ROLE_USER"], row["DEFAULT_ROLE_HOST"])
            default.setdefault(account(row["USER"], row["HOST"]), []).append(role)
    return granted + [(who, "SET DEFAULT ROLE {} TO {}".format(", ".join(default[who]), who)) for who in default]


def grants_of(master: Session, who: str) -> list[str]:
    """Return the statements that give an account its rights."""
    return [next(iter(grant.values())) for grant in rows(master, "SHOW GRANTS FOR " + who)]


def write_accounts(session: Session, statements: list[AccountStatement]) -> None:
    """Make them; a statement may hold the hash of a password, so only its account is told."""
    with session.cursor() as cursor:
        for who, statement in statements:
            try:
                cursor.execute(statement)
            except Exception as error:
                fail(f"the account {who} cannot be copied (error {error.args[0]})")


def only_value(session: Session, statement: str) -> str:
    """Return the one value that a statement shows."""
    value: str = next(iter(rows(session, statement)[0].values()))
    return value


def account(user: str, host: str) -> str:
    """Return an account in quotes."""
    return f"{identifier(user)}@{identifier(host)}"


def identifier(name: str) -> str:
    """Return a name in quotes."""
    return "`{}`".format(name.replace("`", "``"))
