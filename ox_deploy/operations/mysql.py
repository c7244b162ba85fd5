"""Accounts of MySQL and MariaDB servers."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.mysql import Mysql, MysqlStatus
from ox_deploy.mysql.accounts import Statement, WantedAccount, differences, drop_account, listed, stale_accounts
from ox_deploy.mysql.not_ready import not_ready
from ox_deploy.operations.stop import stop
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import order
from ox_deploy.questions.pyinfra_internals import is_executing
from ox_deploy.questions.question import Question


def accounts_question(users: Sequence[str], option_file: str | None = None, **_: Any) -> Question[MysqlStatus]:
    """Return what has to be known of a server for the accounts of some users."""
    return Question(Mysql, users=list(users), option_file=option_file)


@prefetch.asks(accounts_question)
@operation()
def accounts(
    wanted: Sequence[WantedAccount],
    users: Sequence[str],
    remove_stale: bool = False,
    replicate: bool = True,
    option_file: str | None = None,
) -> Generator[StringCommand, None, None]:
    """
    Bring the accounts of some users into the wanted state: password, rights, nothing more.

    + wanted: the accounts, with rights on `*.*`
    + users: the user names that are ours; their accounts for other hosts are stale
    + remove_stale: drop stale accounts instead of naming them
    + replicate: write the changes to the binary log, for those that read from this server, or not
    + option_file: root-only option file on the host, where root cannot log in over the socket

    Idempotent. No statement holds a password, only the hash that the server stores.
    Guide: Master/Slave database setup, the GRANT statements of both hosts.
    """
    status = ask(host, accounts_question(users, option_file))
    problem = not_ready(status, host.name)
    if problem:
        yield stop(problem) if is_executing() else StringCommand("true")
        return
    statements = differences(wanted, status.accounts, status.dialect)
    stale = stale_accounts(wanted, status.accounts)
    if remove_stale:
        statements += [drop_account(account.user, account.host) for account in stale]
    elif stale:
        names = ", ".join(f"'{account.user}'@'{account.host}'" for account in stale)
        host.log(
            f"{names}: for addresses that are no longer in the inventory; run with `--data "
            "remove_stale_accounts=true` to drop them"
        )
    if statements:
        _tell_of_others(wanted, status)
        yield run_statements(statements, replicate, option_file, status)
    else:
        host.noop("the accounts are right")


def _tell_of_others(wanted: Sequence[WantedAccount], status: MysqlStatus) -> None:
    """Say which accounts somebody else made, or left with a password that is not ours."""
    found = {(account.user, account.host): account for account in status.accounts}
    names = [
        f"'{each.user}'@'{each.host}'"
        for each in wanted
        if (own := found.get((each.user, each.host))) and not each.is_stored(own)
    ]
    if names:
        host.log(f"{', '.join(names)}: with another password than in the secrets; it gets that one, and our rights")


def run_statements(
    statements: Sequence[Statement], replicate: bool, option_file: str | None, status: MysqlStatus
) -> StringCommand:
    """Return the order that runs statements, unless the server's role is another one by then."""
    job = {"statements": listed(statements), "replicate": replicate, "option_file": option_file, "seen": status.role}
    return order("mysql_run", job)
