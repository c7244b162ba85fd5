"""What may be set for the whole cluster: types, ranges, and what has to fit together. No I/O on any host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, SkipValidation, ValidationError

from ox_deploy import rules
from ox_deploy.errors import InputError
from ox_deploy.rules import Rule, between, wrong

ModelT = TypeVar("ModelT", bound=BaseModel)


class Model(BaseModel):
    """What is typed in strictly: no other keys, no numbers in quotes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


# The ids are numbers of 31 bits for the product, the quota is kept in bytes.
Id = Annotated[int, Rule("a whole number from 1 to 2147483647", between(1, 2**31 - 1))]
Quota = Annotated[int, Rule("a whole number of MB from 0 to 8796093022207", between(0, 2**43 - 1))]
# The product knows which there are: see consistency.py.
Access = Annotated[str, SkipValidation]
Memory = Annotated[int, Rule("a whole number of MB from 64 to 1048576", between(64, 2**20))]
UserId = Annotated[int, Rule("a whole number from 100 to 65533", between(100, 65533))]
# The server does not run as root, and others may not listen below.
MysqlPort = Annotated[int, Rule("a whole number from 1024 to 65535", between(1024, 65535))]


def _is_list(what: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise wrong(f"it should be a list of {what}, each with its keys in braces")
        return value

    return BeforeValidator(check)


def _is_product(value: Any) -> Any:
    # Which know the settings themselves.
    from ox_deploy.products import PRODUCTS

    if value not in list(PRODUCTS):
        raise wrong("it should be " + " or ".join(f'"{name}"' for name in PRODUCTS))
    return value


class User(Model):
    """A groupware user that the deploy creates when it is missing."""

    name: rules.Name
    display_name: rules.DisplayName
    given_name: rules.Text
    sur_name: rules.Text
    email: rules.Email


class Context(Model):
    """A groupware context (a tenant) that the deploy creates when it is missing. `quota` is in MB."""

    id: Id
    name: rules.Name
    admin: rules.Name
    admin_display_name: rules.DisplayName = "Context Admin"
    admin_email: rules.Email
    quota: Quota = 1024
    access: Access = "all"
    users: Annotated[list[User], _is_list("users")] = []


class PasswordSettings(Model):
    """What tells which passwords there are, and where they are kept."""

    secrets_file: rules.LocalPath = "secrets.toml"
    contexts: Annotated[list[Context], _is_list("contexts")] = []


class Settings(PasswordSettings):
    """What holds for the whole cluster; group_data/all.py explains each key. A product adds its own in a subclass."""

    product: Annotated[str, BeforeValidator(_is_product)] = "ox6"
    server_name: rules.LongName = "oxserver"

    ox_repository_url: rules.RepositoryUrl
    ox_repository_key: rules.File

    database_server: Annotated[Literal["mariadb", "mysql"], Rule('"mariadb" or "mysql"')] = "mariadb"
    mysql_port: MysqlPort = 3306
    replication_by: Annotated[Literal["gtid", "position"], Rule('"gtid" or "position"')] = "gtid"
    remove_stale_accounts: rules.Flag = False
    replication_tls: rules.Flag = False
    mysql_tls_ca: rules.OptionalFile = None
    semi_synchronous: rules.Flag = False

    filestore_path: rules.FilestorePath = "/var/opt/filestore"
    filestore_uid: UserId = 1001
    filestore_gid: UserId = 1001
    nfs_server: Annotated[Literal["kernel", "ganesha"], Rule('"kernel" or "ganesha"')] = "kernel"
    nfs_options: rules.NfsOptions = "rw,hard,nosuid,nodev,noatime,_netdev"
    external_filestore: rules.ExternalFilestore = None

    web_name: rules.WebName
    web_certificate: rules.File
    web_certificate_key: rules.File
    web_paths: rules.WebPaths = []
    hsts_seconds: rules.HstsSeconds = None

    server_memory: Memory = 512
    license_key: rules.OptionalLongName = None


def parse(
    model: type[ModelT],
    values: dict[str, Any],
    where: str,
    files: Mapping[str, str] | None = None,
    keys: Mapping[str, str] | None = None,
) -> ModelT:
    """Return a model of some values.

    + where: the file that has them, for the sentence
    + files: other files by key
    + keys: what a key is called in the file, where that is another name

    Raises InputError with one sentence that names key and file.
    """
    try:
        return model(**values)
    except ValidationError as error:
        raise InputError(_sentence(error, where, files or {}, keys or {})) from None


def _sentence(error: ValidationError, where: str, files: Mapping[str, str], keys: Mapping[str, str]) -> str:
    """Say what is and what should be of the first thing that is wrong."""
    first = error.errors()[0]
    place = [rules.plain(part) for part in first["loc"]]
    if place:
        place[0] = keys.get(place[0], place[0])
        where = files.get(place[0], where)
    key = ".".join(place)
    if first["type"] == "missing":
        return f"{where}: `{key}` is missing; add it."
    if first["type"] == "extra_forbidden":
        return f"{where}: `{key}` is not a setting; remove it or correct its spelling."
    if not key:
        return f"{where}: {first['msg']}."
    return f"{where}: `{key}` is {rules.shown(first['input'])}; {first['msg']}."


def check_contexts(contexts: Iterable[Context]) -> None:
    """Raise InputError where two contexts, or two users of one, would be one for Open-Xchange."""
    contexts = list(contexts)
    _check_once([(str(context.id), f"id {context.id}") for context in contexts], "")
    _check_once([(context.name.lower(), f"name {context.name}") for context in contexts], "")
    ids = {str(context.id): context for context in contexts}
    for context in contexts:
        if ids.get(context.name, context) is not context:
            raise InputError(
                f"group_data/all.py: `contexts` has a context named {context.name} besides the context with the id "
                f"{context.name}; logins could not tell them apart, so give the first another name."
            )
        _check_users(context)


def _check_users(context: Context) -> None:
    place = f" in context {context.id}"
    names = [context.admin, *(user.name for user in context.users)]
    _check_once([(name.lower(), f"user {name}") for name in names], place)
    addresses = [context.admin_email, *(user.email for user in context.users)]
    _check_once([(address.lower(), f"e-mail address {address}") for address in addresses], place)


def _check_once(found: list[tuple[str, str]], place: str) -> None:
    """Have each key there once; capitals make no difference to Open-Xchange."""
    seen: dict[str, str] = {}
    for key, words in found:
        first = seen.setdefault(key, words)
        count = sum(other == key for other, _ in found)
        if count > 1 and words != first:
            raise InputError(
                f"group_data/all.py: `contexts` has {first} and {words}{place}, which are the same for Open-Xchange; "
                "each should be unique."
            )
    for key, words in found:
        count = sum(other == key for other, _ in found)
        if count > 1:
            raise InputError(f"group_data/all.py: `contexts` has {words} {count} times{place}; it should be unique.")
