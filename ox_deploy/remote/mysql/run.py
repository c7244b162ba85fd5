"""Run statements on the MySQL or MariaDB server of this host, over its own socket."""

from __future__ import annotations

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.master_slaves.role.check import check_role
from ox_deploy.remote.mysql.session import connect


def remedy_of(error: Exception) -> str:
    """Return what to do about a server that takes no stored passwords, since it cannot judge them; "" otherwise."""
    if "strict-password-validation" not in str(error).replace("_", "-"):
        return ""
    return (
        "; a password plugin of this server takes no hashes: run `SET GLOBAL strict_password_validation = OFF` there, "
        "deploy, and switch it ON again"
    )


def mysql_run(job: Document) -> None:
    """Run all statements of a job; say which one failed by its label, since its text may hold a password."""
    with connect(job["option_file"]) as session, session.cursor() as cursor:
        check_role(session, job.get("seen"))
        if not job["replicate"]:
            cursor.execute("SET sql_log_bin = 0")
        for statement in job["statements"]:
            try:
                cursor.execute(statement["sql"], statement["values"])
            except Exception as error:
                fail("{}: {}{}".format(statement["label"], error, remedy_of(error)))
            print(statement["label"])
