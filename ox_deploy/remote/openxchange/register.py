"""Do the guide's steps that are done once for the cluster: configdb, registrations, contexts and users."""

from __future__ import annotations

import secrets

from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.configdb.init import configdb_init, restore_password
from ox_deploy.remote.configdb.repoint import set_urls
from ox_deploy.remote.configdb.session import alone, connect, settings
from ox_deploy.remote.configdb.state import registrations
from ox_deploy.remote.daemons.start import daemons_start
from ox_deploy.remote.openxchange.tools import tool_or_fail, wait_for_admin_daemon


def pool_id(session: Session, name: str) -> int:
    """Return the id of a registered database; ids are never to be assumed."""
    number: int = rows(session, "SELECT db_pool_id AS id FROM db_pool WHERE name = %s", [name])[0]["id"]
    return number


def register_database(session: Session, database: Document, login: Document) -> None:
    """Register one database server with a throw-away password; the real one is written by SQL."""
    arguments = [
        *("--name", database["name"]),
        *("--hostname", database["host"]),
        *("--dbuser", database["user"]),
        *("--dbpasswd", secrets.token_hex(12)),
    ]
    if database["writer"] is None:
        arguments += ["--master", "true"]
    else:
        writer = str(pool_id(session, database["writer"]))
        arguments += ["--master", "false", "--masterid=" + writer]
    tool_or_fail("registerdatabase", arguments, login)
    print("registered database " + database["name"])


def set_pool_password(session: Session, name: str, password: str) -> None:
    """Write the password with which Open-Xchange logs in at a database server."""
    with session.cursor() as cursor:
        cursor.execute("UPDATE db_pool SET password = %s WHERE name = %s", [password, name])


def create_context(context: Document, login: Document) -> None:
    """Create a context with its administrator."""
    arguments = [
        *("-c", str(context["id"])),
        *("-u", context["admin"]),
        *("-d", context["admin_display_name"]),
        *("-g", "Admin", "-s", "User"),
        *("-L", context["name"]),
        *("-e", context["admin_email"]),
        *("-q", str(context["quota"])),
        "--access-combination-name=" + context["access"],
    ]
    tool_or_fail("createcontext", arguments, login, context["password"])
    print("created context {}".format(context["id"]))


def create_user(user: Document) -> None:
    """Create a user as the administrator of its context."""
    arguments = [
        *("-c", str(user["context"])),
        *("-u", user["name"]),
        *("-d", user["display_name"]),
        *("-g", user["given_name"]),
        *("-s", user["sur_name"]),
        *("-e", user["email"]),
    ]
    tool_or_fail("createuser", arguments, user["administrator"], user["password"])
    print("created user {} in context {}".format(user["name"], user["context"]))


def openxchange_register(job: Document) -> None:
    """Do what is missing, in the guide's order; what somebody else did in the meantime is left out."""
    server = settings(job["file"])
    restore_password(server)
    with connect(server) as session:
        alone(session)
        if job["configdb"]:
            configdb_init(session, server, job["tables"], recreate=job["configdb"] == "recreate")
        login = job["administrator"]
        daemons_start(job["daemons"])
        wait_for_admin_daemon(job["admin_check"], login, job["daemons"]["seconds"])
        session.select_db(server["database"])
        register(session, still_missing(session, job), login)


def still_missing(session: Session, job: Document) -> Document:
    """Return the job without what is registered by now."""
    contexts = {*(context["id"] for context in job["contexts"]), *(user["context"] for user in job["users"])}
    found = registrations(session, job["tables"], sorted(contexts))
    pools = {pool["name"] for pool in found["pools"]}
    users = {context["id"]: context["users"] for context in found["contexts"]}
    return {
        **job,
        "servers": [server for server in job["servers"] if server not in found["servers"]],
        "filestores": [filestore for filestore in job["filestores"] if filestore not in found["filestores"]],
        "databases": [database for database in job["databases"] if database["name"] not in pools],
        "contexts": [context for context in job["contexts"] if context["id"] not in users],
        "users": [user for user in job["users"] if user["name"] not in users.get(user["context"], [])],
    }


def register(session: Session, job: Document, login: Document) -> None:
    """Register and create it."""
    for server in job["servers"]:
        tool_or_fail("registerserver", ["-n", server], login)
    for filestore in job["filestores"]:
        tool_or_fail("registerfilestore", ["-t", filestore], login)
    if job["pools"]:
        set_urls(session, job["pools"])
    for database in job["databases"]:
        register_database(session, database, login)
    for pool in job["passwords"]:
        set_pool_password(session, pool["name"], pool["password"])
    for context in job["contexts"]:
        create_context(context, login)
    for user in job["users"]:
        create_user(user)
