"""Contexts: a row in configdb, a schema on the master database, and the context's administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import users
from database import Session, session, statements
from errors import AdminError, ContextExists, InvalidData, NoSuchContext, StorageError
from registry import MEGABYTE, pattern
from settings import Address

if TYPE_CHECKING:
    from operations import Administration, Options

ADMIN_ID = 2  # ids 0 and 1 are groups in every context
SCHEMA_VERSION = 54
CLUSTERS = (
    "SELECT c.read_db_pool_id, c.write_db_pool_id, c.max_units, c.weight, p.name, p.url, p.login, p.password"
    " FROM db_cluster c"
    " JOIN db_pool p ON p.db_pool_id = c.write_db_pool_id"
    " LEFT JOIN context_server2db_pool s ON s.write_db_pool_id = p.db_pool_id"
    " WHERE %s IN (0, p.db_pool_id) GROUP BY c.cluster_id"
    " HAVING c.max_units < 0 OR COUNT(s.cid) < c.max_units"
    " ORDER BY COUNT(s.cid) / GREATEST(c.weight, 1), c.cluster_id"
)
FILESTORES = (
    "SELECT f.id, f.max_context FROM filestore f LEFT JOIN context c ON c.filestore_id = f.id"
    " WHERE %s IN (0, f.id) GROUP BY f.id HAVING COUNT(c.cid) < f.max_context ORDER BY COUNT(c.cid), f.id"
)


def create(admin: Administration, db: Session, options: Options) -> int:
    cid = int(options["context"])
    if db.rows("SELECT 1 FROM context WHERE cid = %s", cid):
        raise ContextExists(f"Context {cid} already exists!")
    names = _free_names(db, cid, options)
    users.check_combination(admin, options)
    server = db.value("SELECT server_id FROM server WHERE name = %s", admin.configuration.server_name)
    if server is None:
        raise StorageError(f"No server registered with name {admin.configuration.server_name}")
    filestore = db.value(FILESTORES, options.get("filestore", 0))
    if filestore is None:
        raise StorageError("No usable or suitable filestore found")
    cluster = next(iter(db.rows(CLUSTERS, options.get("database", 0))), None)
    if cluster is None:
        raise StorageError("The maximum number of contexts in every database cluster has been reached.")
    schema, is_new = _schema(admin, db, cluster)
    try:
        _insert(db, options, cid, names, server, filestore, cluster, schema.schema)
        _fill(admin, schema, options, cid)
    except (AdminError, KeyError):
        if is_new:
            _drop(schema)
        raise
    return cid


def _free_names(db: Session, cid: int, options: Options) -> list[str]:
    """What a login may have behind its @: the id, the name and the mappings."""
    name = options.get("contextname", str(cid))
    if db.rows("SELECT 1 FROM context WHERE name = %s", name):
        raise InvalidData(f"Context {name} already exists!")
    names = list(dict.fromkeys([str(cid), name, *filter(None, options.get("lmapping", "").split(","))]))
    for mapping in names:
        if db.rows("SELECT 1 FROM login2context WHERE login_info = %s", mapping):
            raise InvalidData(f"Cannot map '{mapping}' to the newly created context. This mapping is already in use.")
    return names


def _schema(admin: Administration, db: Session, cluster: dict[str, Any]) -> tuple[Address, bool]:
    """A schema with room for a context, made when there is none. Its number comes from the shared counter."""
    from operations import pool_address

    query = (
        "SELECT db_schema FROM context_server2db_pool WHERE write_db_pool_id = %s"
        " GROUP BY db_schema HAVING COUNT(*) < %s ORDER BY db_schema"
    )
    name = db.value(query, cluster["write_db_pool_id"], admin.configuration.contexts_per_schema)
    if name is not None:
        return pool_address(cluster, name), False
    name = f"{cluster['name']}_{admin.next_id()}"
    with session(pool_address(cluster)) as server:
        server.change(f"CREATE DATABASE `{name}` DEFAULT CHARACTER SET utf8")
    schema = pool_address(cluster, name)
    with session(schema) as tables:
        for statement in statements(admin.configuration.user_tables):
            tables.change(statement)
        tables.change("INSERT INTO version VALUES (%s, 0, 1, 1, %s)", SCHEMA_VERSION, admin.configuration.server_name)
    return schema, True


def _drop(schema: Address) -> None:
    server = Address(schema.host, schema.port, schema.user, schema.password)
    with session(server) as db:
        db.change(f"DROP DATABASE `{schema.schema}`")


def _insert(
    db: Session,
    options: Options,
    cid: int,
    names: list[str],
    server: int,
    filestore: int,
    cluster: dict[str, Any],
    schema: str,
) -> None:
    db.change(
        "INSERT INTO context (cid, name, enabled, filestore_id, filestore_name, quota_max)"
        " VALUES (%s, %s, 1, %s, %s, %s)",
        cid,
        options.get("contextname", str(cid)),
        filestore,
        f"{cid}_ctx_store",
        int(options["quota"]) * MEGABYTE,
    )
    for name in names:
        db.change("INSERT INTO login2context (cid, login_info) VALUES (%s, %s)", cid, name)
    # The read side is copied now: a slave that comes later does not serve this context.
    db.change(
        "INSERT INTO context_server2db_pool (server_id, cid, read_db_pool_id, write_db_pool_id, db_schema)"
        " VALUES (%s, %s, %s, %s, %s)",
        server,
        cid,
        cluster["read_db_pool_id"] or cluster["write_db_pool_id"],
        cluster["write_db_pool_id"],
        schema,
    )


def _fill(admin: Administration, schema: Address, options: Options, cid: int) -> None:
    with session(schema) as db:
        db.change("INSERT INTO sequence_id (cid, id) VALUES (%s, %s)", cid, ADMIN_ID)
        db.change("INSERT INTO filestore_usage (cid, used) VALUES (%s, 0)", cid)
        for identifier, name in ((0, "users"), (1, "standard")):
            db.change("INSERT INTO `groups` VALUES (%s, %s, %s, %s)", cid, identifier, name, name.capitalize())
        users.insert(db, cid, ADMIN_ID, options)
        db.change("INSERT INTO user_setting_admin (cid, user) VALUES (%s, %s)", cid, ADMIN_ID)


def delete(admin: Administration, db: Session, options: Options) -> int:
    cid = int(options["context"])
    _require(db, cid)
    schema = admin.schema_address(cid)
    db.change("DELETE FROM login2context WHERE cid = %s", cid)
    db.change("DELETE FROM context_server2db_pool WHERE cid = %s", cid)
    db.change("DELETE FROM context WHERE cid = %s", cid)
    if db.rows("SELECT 1 FROM context_server2db_pool WHERE db_schema = %s", schema.schema):
        with session(schema) as tables:
            for table in [next(iter(row.values())) for row in tables.rows("SHOW TABLES")]:
                if table != "version":
                    tables.change(f"DELETE FROM `{table}` WHERE cid = %s", cid)
    else:
        _drop(schema)
    return cid


def _require(db: Session, cid: int) -> None:
    if not db.rows("SELECT 1 FROM context WHERE cid = %s", cid):
        raise NoSuchContext(f"Context {cid} does not exist")


def exists(admin: Administration, db: Session, options: Options) -> bool:
    return bool(db.rows("SELECT 1 FROM context WHERE cid = %s", int(options["context"])))


def list_all(admin: Administration, db: Session, options: Options) -> list[dict[str, Any]]:
    query = (
        "SELECT c.*, GROUP_CONCAT(l.login_info ORDER BY l.login_info) AS mappings FROM context c"
        " LEFT JOIN login2context l ON l.cid = c.cid WHERE c.name LIKE %s GROUP BY c.cid ORDER BY c.cid"
    )
    return [
        {
            "id": row["cid"],
            "filestore_id": row["filestore_id"],
            "filestore_name": row["filestore_name"],
            "enabled": "true" if row["enabled"] else "false",
            "max_quota": row["quota_max"] // MEGABYTE,
            "used_quota": _used(admin, row["cid"]),
            "name": row["name"],
            "lmappings": row["mappings"],
            "attributes": None,
        }
        for row in db.rows(query, pattern(options))
    ]


def _used(admin: Administration, cid: int) -> int:
    with session(admin.schema_address(cid)) as schema:
        return int(schema.value("SELECT used FROM filestore_usage WHERE cid = %s", cid) or 0) // MEGABYTE
