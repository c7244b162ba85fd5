"""Do the guide's steps that are done once for the cluster: configdb, registrations, contexts and users."""

import concurrent.futures
import re
import secrets


def pool_id(session, name):
    """Return the id of a registered database; ids are never to be assumed."""
    return rows(session, "SELECT db_pool_id AS id FROM db_pool WHERE name = %s", [name])[0]["id"]


def database_arguments(database):
    """Return how a database server is registered, with a throw-away password; the real one is written by SQL."""
    return [
        *("--name", database["name"]),
        *("--hostname", database["host"]),
        *("--dbuser", database["user"]),
        *("--dbpasswd", secrets.token_hex(12)),
    ]


def master_registration(database, login):
    """Return the call that registers a master."""
    return "registerdatabase", [*database_arguments(database), "--master", "true"], login


def register_slave(session, database, login):
    """Register a slave, which has to have the id of its master."""
    master = str(pool_id(session, database["master"]))
    arguments = [*database_arguments(database), "--master", "false", "--masterid=" + master]
    tool_or_fail("registerdatabase", arguments, login)


def at_once(calls):
    """Run tools that need nothing of each other at the same time; each takes most of its own to start."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(calls) or 1) as pool:
        for done in [pool.submit(tool_or_fail, *call) for call in calls]:
            done.result()


def set_pool_password(session, name, password):
    """Write the password with which Open-Xchange logs in at a database server."""
    with session.cursor() as cursor:
        cursor.execute("UPDATE db_pool SET password = %s WHERE name = %s", [password, name])


def create_context(context, login):
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


def create_user(user):
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


def openxchange_register(job):
    """Do what is missing, in the guide's order."""
    if job["configdb"]:
        configdb_init(recreate=job["configdb"] == "recreate")
    login = job["administrator"]
    daemons_start(job["daemons"])
    wait_for_admin_daemon(login, job["daemons"]["seconds"])
    server = settings()
    with connect(server, server["database"]) as session:
        if job["pools"]:
            set_urls(session, job["pools"])
        slaves = [database for database in job["databases"] if database["master"] is not None]
        at_once(
            [("registerserver", ["-n", server], login) for server in job["servers"]]
            + [("registerfilestore", ["-t", filestore], login) for filestore in job["filestores"]]
            + [master_registration(database, login) for database in job["databases"] if database not in slaves]
        )
        for database in slaves:
            register_slave(session, database, login)
        for database in job["databases"]:
            print("registered database " + database["name"])
        for pool in job["passwords"]:
            set_pool_password(session, pool["name"], pool["password"])
    for context in job["contexts"]:
        create_context(context, login)
    for user in job["users"]:
        create_user(user)
