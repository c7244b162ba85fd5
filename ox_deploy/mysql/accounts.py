"""Accounts of MySQL and MariaDB servers: what brings them into the wanted state. Pure: nothing is asked or changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ox_deploy.facts.mysql import Account, Grant
from ox_deploy.mysql import passwords
from ox_deploy.secrets import Secret


@dataclass(frozen=True)
class WantedAccount:
    """An account as it should be; rights are on `*.*`.

    `tls` tells whether it may only log in over an encrypted connection; None leaves that as it is.
    """

    user: str
    host: str
    password: Secret
    privileges: frozenset[str]
    grant_option: bool = False
    tls: bool | None = None

    def is_stored(self, found: Account) -> bool:
        """Tell whether an account has this password, in whichever way it is stored."""
        if found.plugin not in (passwords.NATIVE, passwords.SHA2):
            return False
        stored = passwords.stored(self.password.reveal(), found.plugin, found.salted)
        return found.password.matches(stored)


@dataclass(frozen=True)
class Statement:
    """A statement with its values, and a label that may be shown."""

    label: str
    sql: str
    values: tuple[str, ...]


def account_statements(wanted: WantedAccount, found: Account | None, dialect: Mapping[str, Any]) -> list[Statement]:
    """Return what brings an account into the wanted state; nothing if it is. `dialect` is the server's.

    Each statement can be repeated and replayed on a server that has the account already (no error 1396).
    """
    who = f"'{wanted.user}'@'{wanted.host}'"
    name = (wanted.user, wanted.host)
    statements = []
    # A password that has expired is one again once it is set.
    if found is None or found.expired or not wanted.is_stored(found):
        what, verb = ("create", "CREATE USER IF NOT") if found is None else ("set the password of", "ALTER USER IF")
        stored = passwords.stored(wanted.password.reveal(), dialect["password_plugin"])
        sql = f"{verb} EXISTS %s@%s {dialect['identified']}"
        statements.append(Statement(f"{what} {who}", sql, (*name, stored)))
    statements += _requirement(wanted, who, found.tls if found else "")
    statements += _restrictions(who, found) if found else []
    grants = found.grants if found else []
    return statements + _missing_rights(wanted, who, grants) + _surplus_rights(wanted, who, grants)


# What servers call it if an account has to log in over an encrypted connection.
_ENCRYPTED = "ANY"
_REQUIREMENTS = {True: "SSL", False: "NONE"}


def _requirement(wanted: WantedAccount, who: str, found: str) -> list[Statement]:
    # A stricter one, such as a certificate for one client, is somebody else's and stays if we want none.
    if wanted.tls is None or wanted.tls == (found == _ENCRYPTED):
        return []
    label = f"let {who} log in {'encrypted only' if wanted.tls else 'unencrypted, too'}"
    sql = f"ALTER USER IF EXISTS %s@%s REQUIRE {_REQUIREMENTS[wanted.tls]}"
    return [Statement(label, sql, (wanted.user, wanted.host))]


def _restrictions(who: str, found: Account) -> list[Statement]:
    """Return what takes away what keeps an account from logging in, or from doing so as often as it has to."""
    names, statements = (found.user, found.host), []
    if found.locked:
        statements.append(Statement(f"unlock {who}", "ALTER USER IF EXISTS %s@%s ACCOUNT UNLOCK", names))
    if found.limits:
        none = " ".join(f"{limit} 0" for limit in found.limits)
        label = f"take the limits of {who} away ({', '.join(found.limits)})"
        statements.append(Statement(label, f"ALTER USER IF EXISTS %s@%s WITH {none}", names))
    return statements


def _missing_rights(wanted: WantedAccount, who: str, grants: Sequence[Grant]) -> list[Statement]:
    held = next((grant for grant in grants if grant.on == "*.*"), None)
    missing = wanted.privileges - (held.privileges if held else frozenset())
    lacks_option = wanted.grant_option and not (held and held.grant_option)
    if not missing and not lacks_option:
        return []
    names = ", ".join(sorted(missing or wanted.privileges))
    option = " WITH GRANT OPTION" if wanted.grant_option else ""
    sql = f"GRANT {names} ON *.* TO %s@%s{option}"
    return [Statement(f"grant {names} to {who}", sql, (wanted.user, wanted.host))]


def _surplus_rights(wanted: WantedAccount, who: str, grants: Sequence[Grant]) -> list[Statement]:
    if any(grant.on == "*.*" and "ALL PRIVILEGES" in grant.privileges for grant in grants):
        # Cannot be revoked in part: take all, on databases too, then give the wanted ones.
        rest = [grant for grant in grants if not grant.on or _is_proxy(grant)]
        return [*_replace_all(wanted, who), *(_revoke(_named(grant), wanted, who) for grant in rest)]
    statements = []
    for grant in grants:
        is_global = grant.on == "*.*"
        if not grant.on or _is_proxy(grant):
            statements.append(_revoke(_named(grant), wanted, who))
            continue
        surplus = set(grant.privileges - (wanted.privileges if is_global else frozenset()))
        if grant.grant_option and not (is_global and wanted.grant_option):
            surplus.add("GRANT OPTION")
        if not surplus:
            continue
        names = ", ".join(_with_columns(privilege) for privilege in sorted(surplus))
        statements.append(_revoke(f"{names} ON {_quoted(grant.on)}", wanted, who))
    return statements


def _is_proxy(grant: Grant) -> bool:
    return "PROXY" in grant.privileges


def _named(grant: Grant) -> str:
    """Return a right that is not on an object, as REVOKE has it; the right to hand it on goes with it."""
    (text,) = grant.privileges
    return f"PROXY ON {grant.on}" if _is_proxy(grant) else text.removeprefix("GRANT ")


def _with_columns(privilege: str) -> str:
    """Return a right with the columns that it is for in quotes, as some servers do not show them."""
    name, opened, columns = privilege.partition("(")
    if not opened:
        return name
    bare = (column.strip().strip('`"') for column in columns.removesuffix(")").split(","))
    return f"{name}({', '.join(f'`{column}`' for column in bare)})"


def _revoke(what: str, wanted: WantedAccount, who: str) -> Statement:
    """Return what takes away a right, a role, or a default role as SHOW GRANTS lists it."""
    names = (wanted.user, wanted.host)
    if what.startswith("SET DEFAULT ROLE"):
        return Statement(f"no default role for {who}", "SET DEFAULT ROLE NONE FOR %s@%s", names)
    # The driver would take a percent sign for a placeholder.
    return Statement(f"revoke {what} from {who}", "REVOKE " + what.replace("%", "%%") + " FROM %s@%s", names)


def _replace_all(wanted: WantedAccount, who: str) -> list[Statement]:
    names = (wanted.user, wanted.host)
    revoke = Statement(f"revoke all from {who}", "REVOKE ALL PRIVILEGES, GRANT OPTION FROM %s@%s", names)
    return [revoke, *_missing_rights(wanted, who, [])]


def _quoted(name: str) -> str:
    return ".".join(part if part == "*" else f"`{part}`" for part in name.split("."))


def stale_accounts(wanted: Sequence[WantedAccount], found: Sequence[Account]) -> list[Account]:
    """Return the accounts of our users for addresses that are not wanted."""
    names = {(account.user, account.host) for account in wanted}
    return [account for account in found if (account.user, account.host) not in names]


def differences(
    wanted: Sequence[WantedAccount], accounts: Sequence[Account], dialect: Mapping[str, Any]
) -> list[Statement]:
    """Return what brings all accounts into the wanted state."""
    found = {(account.user, account.host): account for account in accounts}
    return [
        statement
        for account in wanted
        for statement in account_statements(account, found.get((account.user, account.host)), dialect)
    ]


def drop_account(user: str, address: str) -> Statement:
    """Return what drops an account if it is there."""
    return Statement(f"drop '{user}'@'{address}'", "DROP USER IF EXISTS %s@%s", (user, address))


def listed(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """Return statements as a program takes them."""
    return [{"label": each.label, "sql": each.sql, "values": each.values} for each in statements]
