"""Change the addresses of registered databases in configdb."""

from __future__ import annotations

from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.configdb.session import connect, settings


def set_urls(session: Session, pools: list[Document]) -> None:
    """Write them all, or none."""
    session.begin()
    with session.cursor() as cursor:
        for pool in pools:
            cursor.execute(
                "UPDATE db_pool SET url = %s WHERE db_pool_id = %s AND url = %s", [pool["url"], pool["id"], pool["was"]]
            )
    session.commit()
    for pool in pools:
        print("{} is at {}".format(pool["name"], pool["url"]))


def configdb_repoint(job: Document) -> None:
    """Do it on the write host."""
    server = settings(job["file"])
    with connect(server, server["database"]) as session:
        set_urls(session, job["pools"])
