"""What a server that cannot be asked is like, and what a person can do. Pure: nothing is asked or changed."""

from __future__ import annotations

from ox_deploy.facts.mysql import MysqlStatus, ServerState

# What a server that cannot be asked is like, in words that follow its name.
STATES = {
    ServerState.NOT_INSTALLED: "is not installed",
    ServerState.NO_DRIVER: "has no Python driver",
    ServerState.NOT_RUNNING: "is not running",
    ServerState.NO_RIGHTS: "does not let root log in",
    ServerState.NO_ACCOUNTS: "runs with `skip_grant_tables`, so everybody may do everything",
}


_REMEDIES = {
    ServerState.NOT_INSTALLED: "run the whole deploy, or this part with the database hosts included",
    ServerState.NO_DRIVER: "install python3-pymysql there, or run the whole deploy",
    ServerState.NOT_RUNNING: "start it and look at its log (`journalctl -u mariadb` or `-u mysql`)",
    ServerState.NO_RIGHTS: "let root log in over the socket, or set `mysql_option_file` to a root-only option file",
    ServerState.NO_ACCOUNTS: "take `skip-grant-tables` out of its options, restart the server, then deploy",
}


def why_not(status: MysqlStatus) -> tuple[str, str] | None:
    """Return what is with a server that cannot be asked, in words that follow its name, and what to do."""
    if status.state is ServerState.RUNNING:
        return None
    detail = f" ({status.error})" if status.error else ""
    return f"{STATES[status.state]}{detail}", _REMEDIES[status.state]


def not_ready(status: MysqlStatus, name: str) -> str | None:
    """Return a sentence if a server cannot be asked, so that nothing is decided on what is not known."""
    why = why_not(status)
    return f"the database server of {name} {why[0]}; {why[1]}." if why else None
