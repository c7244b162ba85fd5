"""Write a database server's files, unless its role is another one by now: they say whether it takes writes."""

from __future__ import annotations

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.common.units import wait_until_settled
from ox_deploy.remote.master_slaves.role.check import check_no_switch, check_role, role_of, shown_role
from ox_deploy.remote.mysql.logs import keep_names
from ox_deploy.remote.mysql.session import connect
from ox_deploy.remote.service.configure import service_configure


def role_configure(job: Document) -> None:
    """Look once more, then do it."""
    # Who starts has no role to look at yet, and has one by the time its files are written.
    wait_until_settled(job["files"]["name"])
    try:
        session = connect(job["option_file"])
    except Exception:
        session = None
    if session is None:
        # One that does not run says nothing, and one that ran when it was looked at may have been switched meanwhile.
        if job["seen"]:
            fail("this server no longer runs, but did when this run looked; nothing was changed here; run again")
    else:
        with session:
            check_no_switch(session)
            check_role(session, job["seen"])
            check_fits(role_of(session), job)
            keep_names(session, job["files"]["files"])
    service_configure(job["files"])


def check_fits(now: Document, job: Document) -> None:
    """Stop if files for this role would open a replica, or take writes away from a master that was just made."""
    if not job["read_only"] and now["source"]:
        fail(f"this server is {shown_role(now)}, so it is not the master; nothing was changed here; run again")
    if job["switched"] and now["read_only"] is not job["read_only"]:
        fail(f"this server is {shown_role(now)} after the switch; nothing was changed here; run again")
