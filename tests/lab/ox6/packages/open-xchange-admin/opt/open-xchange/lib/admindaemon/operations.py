"""What the tools ask for. Master commands work on configdb, the others on a user schema."""

from collections.abc import Callable
from typing import Any

import contexts
import passwords
import registry
import users
from database import Session, session
from errors import InvalidCredentials, NoSuchContext
from settings import Address, Configuration, address

Options = dict[str, Any]
Command = Callable[["Administration", Session, Options], Any]


class Administration:
    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration

    def run(self, command: str, login: dict[str, str], options: Options) -> Any:
        if command in MASTER_COMMANDS:
            self._check_master(login)
            with session(self.configuration.configdb) as configdb:
                return MASTER_COMMANDS[command](self, configdb, options)
        with session(self.schema_address(int(options["context"]))) as schema:
            self._check_context_admin(schema, int(options["context"]), login)
            return CONTEXT_COMMANDS[command](self, schema, options)

    def next_id(self) -> int:
        """An id of the shared counter, in a transaction of its own: it is used up even if the rest fails."""
        with session(self.configuration.configdb) as configdb:
            return int(configdb.value("CALL get_configdb_id()"))

    def schema_address(self, context: int) -> Address:
        """The user schema of a context on its write server."""
        query = (
            "SELECT p.url, p.login, p.password, c.db_schema FROM context_server2db_pool c"
            " JOIN db_pool p ON p.db_pool_id = c.write_db_pool_id WHERE c.cid = %s"
        )
        with session(self.configuration.configdb) as configdb:
            rows = configdb.rows(query, context)
        if not rows:
            raise NoSuchContext(f"Context {context} does not exist")
        return pool_address(rows[0], rows[0]["db_schema"])

    def _check_master(self, login: dict[str, str]) -> None:
        if not self.configuration.master_authentication:
            return
        digest = self.configuration.masters.get(login.get("user", ""), "")
        if not passwords.matches(login.get("password", ""), "{CRYPT}", digest):
            raise InvalidCredentials("Authentication failed")

    def _check_context_admin(self, schema: Session, context: int, login: dict[str, str]) -> None:
        if not self.configuration.context_authentication:
            return
        query = (
            "SELECT u.userPassword, u.passwordMech FROM user u"
            " JOIN login2user l ON l.cid = u.cid AND l.id = u.id"
            " JOIN user_setting_admin a ON a.cid = u.cid AND a.user = u.id WHERE l.cid = %s AND l.uid = %s"
        )
        rows = schema.rows(query, context, login.get("user", ""))
        if not rows or not passwords.matches(
            login.get("password", ""), rows[0]["passwordMech"], rows[0]["userPassword"]
        ):
            raise InvalidCredentials("Authentication failed")


def pool_address(pool: dict[str, Any], schema: str = "") -> Address:
    """The server of a db_pool row."""
    found = address(pool["url"], pool["login"], pool["password"])
    return Address(found.host, found.port, found.user, found.password, schema)


MASTER_COMMANDS: dict[str, Command] = {
    "registerserver": registry.register_server,
    "registerfilestore": registry.register_filestore,
    "registerdatabase": registry.register_database,
    "unregisterserver": registry.unregister_server,
    "unregisterfilestore": registry.unregister_filestore,
    "unregisterdatabase": registry.unregister_database,
    "changedatabase": registry.change_database,
    "listserver": registry.list_servers,
    "listfilestore": registry.list_filestores,
    "listdatabase": registry.list_databases,
    "createcontext": contexts.create,
    "deletecontext": contexts.delete,
    "listcontext": contexts.list_all,
    "existscontext": contexts.exists,
}
CONTEXT_COMMANDS: dict[str, Command] = {
    "createuser": users.create,
    "changeuser": users.change,
    "deleteuser": users.delete,
    "listuser": users.list_all,
    "existsuser": users.exists,
}
