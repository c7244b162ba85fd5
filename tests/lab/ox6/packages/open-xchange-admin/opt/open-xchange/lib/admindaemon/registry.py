"""Servers, filestores and databases: the rows of configdb."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from errors import InvalidData, StorageError

if TYPE_CHECKING:
    from database import Session
    from operations import Administration, Options

MEGABYTE = 1024 * 1024
DRIVER = "com.mysql.jdbc.Driver"
URL_SUFFIX = (
    "/?useUnicode=true&characterEncoding=UTF-8&autoReconnect=true&useServerPrepStmts=false&useTimezone=true"
    "&serverTimezone=UTC&connectTimeout=15000&socketTimeout=15000"
)


def register_server(admin: Administration, db: Session, options: Options) -> int:
    name = options["name"]
    if db.rows("SELECT server_id FROM server WHERE name = %s", name):
        raise InvalidData(f"Server {name} already exists!")
    identifier = admin.next_id()
    db.change("INSERT INTO server (server_id, name) VALUES (%s, %s)", identifier, name)
    return identifier


def register_filestore(admin: Administration, db: Session, options: Options) -> int:
    uri = options["storepath"]
    if db.rows("SELECT id FROM filestore WHERE uri = %s", uri):
        raise InvalidData("Store already exists")
    # On this host only: nobody checks the other nodes. Each spelling of a path is a store.
    if not Path(urlsplit(uri).path).is_dir():
        raise InvalidData(f'No such directory: "{uri}"')
    identifier = admin.next_id()
    db.change(
        "INSERT INTO filestore (id, uri, size, max_context) VALUES (%s, %s, %s, %s)",
        identifier,
        uri,
        options.get("storesize", 1000) * MEGABYTE,
        options.get("maxcontexts", 5000),
    )
    return identifier


def register_database(admin: Administration, db: Session, options: Options) -> int:
    name, master, master_id = options["name"], options["master"], options.get("masterid")
    if db.rows("SELECT db_pool_id FROM db_pool WHERE name = %s", name):
        raise InvalidData(f"Database {name} already exists!")
    if master and master_id is not None:
        raise InvalidData("Master ID can only be set if this is a slave.")
    identifier = admin.next_id()  # before the master is looked up: an unknown one uses up an id
    if not master and not db.rows("SELECT 1 FROM db_cluster WHERE write_db_pool_id = %s", master_id):
        raise StorageError(f"No such master with ID={master_id}")
    _insert_pool(db, identifier, options)
    if master:
        db.change(
            "INSERT INTO db_cluster (cluster_id, read_db_pool_id, write_db_pool_id, weight, max_units)"
            " VALUES (%s, 0, %s, %s, %s)",
            admin.next_id(),
            identifier,
            options.get("dbweight", 100),
            options.get("maxunit", 1000),
        )
    else:  # a second slave takes the place of the first one, which stays behind in db_pool
        db.change("UPDATE db_cluster SET read_db_pool_id = %s WHERE write_db_pool_id = %s", identifier, master_id)
    return identifier


def _insert_pool(db: Session, identifier: int, options: Options) -> None:
    db.change(
        "INSERT INTO db_pool (db_pool_id, url, driver, login, password, hardlimit, max, initial, name)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        identifier,
        jdbc_url(options.get("hostname", "localhost")),
        options.get("dbdriver", DRIVER),
        options.get("dbuser", "openexchange"),
        options["dbpasswd"],
        int(options.get("poolhardlimit", True)),
        options.get("poolmax", 100),
        options.get("poolinitial", 0),
        options["name"],
    )


def jdbc_url(hostname: str) -> str:
    """The host goes in unescaped. One that comes as a URL loses the colon before its port."""
    foreign = re.match(r"mysql://([^:/]*):?(.*)", hostname)
    host = foreign[1] + foreign[2] if foreign else hostname
    return f"jdbc:mysql://{host}{URL_SUFFIX}"


def change_database(admin: Administration, db: Session, options: Options) -> int:
    identifier = _pool_id(db, options)
    columns = {"newname": "name", "dbuser": "login", "dbpasswd": "password", "dbdriver": "driver"}
    changes: dict[str, Any] = {column: options[key] for key, column in columns.items() if key in options}
    if "hostname" in options:
        changes["url"] = jdbc_url(options["hostname"])
    for column, value in changes.items():
        db.change(f"UPDATE db_pool SET {column} = %s WHERE db_pool_id = %s", value, identifier)
    return identifier


def unregister_server(admin: Administration, db: Session, options: Options) -> int:
    by_name = "SELECT server_id FROM server WHERE name = %s"
    identifier = options.get("id") or db.value(by_name, options.get("name"))
    if identifier is None or not db.rows("SELECT 1 FROM server WHERE server_id = %s", identifier):
        raise InvalidData("No such server")
    if db.rows("SELECT 1 FROM context_server2db_pool WHERE server_id = %s", identifier):
        raise StorageError(f"Server {identifier} is in use")
    db.change("DELETE FROM server WHERE server_id = %s", identifier)
    return int(identifier)


def unregister_filestore(admin: Administration, db: Session, options: Options) -> int:
    identifier = options["id"]
    if db.rows("SELECT 1 FROM context WHERE filestore_id = %s", identifier):
        raise StorageError(f"Store {identifier} is in use")
    if not db.change("DELETE FROM filestore WHERE id = %s", identifier):
        raise InvalidData(f"No such store {identifier}")
    return int(identifier)


def unregister_database(admin: Administration, db: Session, options: Options) -> int:
    identifier = _pool_id(db, options)
    used = "SELECT 1 FROM context_server2db_pool WHERE write_db_pool_id = %s OR read_db_pool_id = %s"
    if db.rows(used, identifier, identifier):
        raise StorageError(f"Database {identifier} is in use")
    db.change("DELETE FROM db_cluster WHERE write_db_pool_id = %s", identifier)
    db.change("UPDATE db_cluster SET read_db_pool_id = 0 WHERE read_db_pool_id = %s", identifier)
    db.change("DELETE FROM db_pool WHERE db_pool_id = %s", identifier)
    return identifier


def _pool_id(db: Session, options: Options) -> int:
    by_name = "SELECT db_pool_id FROM db_pool WHERE name = %s"
    identifier = options.get("id") or db.value(by_name, options.get("name"))
    if identifier is None or not db.rows("SELECT 1 FROM db_pool WHERE db_pool_id = %s", identifier):
        raise InvalidData("No such database")
    return int(identifier)


def list_servers(admin: Administration, db: Session, options: Options) -> list[dict[str, Any]]:
    query = "SELECT server_id AS id, name FROM server WHERE name LIKE %s ORDER BY server_id"
    return db.rows(query, pattern(options))


def list_filestores(admin: Administration, db: Session, options: Options) -> list[dict[str, Any]]:
    query = (
        "SELECT f.id, f.uri, f.size, f.max_context, COUNT(c.cid) AS contexts,"
        " COALESCE(SUM(c.quota_max), 0) AS reserved"
        " FROM filestore f LEFT JOIN context c ON c.filestore_id = f.id"
        " WHERE f.uri LIKE %s GROUP BY f.id ORDER BY f.id"
    )
    return [
        {
            "id": row["id"],
            "uri": row["uri"],
            "size": row["size"] // MEGABYTE,
            "reserved": int(row["reserved"]) // MEGABYTE,
            "used": 0,
            "maxcontexts": row["max_context"],
            "currentcontexts": row["contexts"],
        }
        for row in db.rows(query, pattern(options))
    ]


def list_databases(admin: Administration, db: Session, options: Options) -> list[dict[str, Any]]:
    """Masters and the slave that each names: a slave that was replaced is not among them."""
    query = (
        "SELECT p.*, c.write_db_pool_id, c.read_db_pool_id, c.weight, c.max_units,"
        " (SELECT COUNT(*) FROM context_server2db_pool s WHERE s.write_db_pool_id = p.db_pool_id) AS contexts"
        " FROM db_pool p JOIN db_cluster c ON p.db_pool_id IN (c.write_db_pool_id, c.read_db_pool_id)"
        " WHERE p.name LIKE %s ORDER BY p.db_pool_id"
    )
    return [_database_row(row) for row in db.rows(query, pattern(options))]


def _database_row(row: dict[str, Any]) -> dict[str, Any]:
    master = row["db_pool_id"] == row["write_db_pool_id"]
    return {
        "id": row["db_pool_id"],
        "display_name": row["name"],
        "url": row["url"],
        "master": "true" if master else "false",
        "masterid": 0 if master else row["write_db_pool_id"],
        "clusterweight": row["weight"],
        "maxUnits": row["max_units"],
        "currentunits": row["contexts"],
        "poolHardLimit": "true" if row["hardlimit"] else "false",
        "poolMax": row["max"],
        "poolInitial": row["initial"],
        "login": row["login"],
        "password": row["password"],
        "driver": row["driver"],
        "read_id": (row["read_db_pool_id"] or None) if master else None,
        "scheme": None,
    }


def pattern(options: Options) -> str:
    """The search pattern of the list commands: * stands for any text."""
    return str(options.get("searchpattern", "*")).replace("%", r"\%").replace("_", r"\_").replace("*", "%")
