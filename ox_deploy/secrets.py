"""Where passwords come from; the only module that sees them in clear.

A password is looked up in the environment (`OX_DEPLOY_` and its name in capitals), then in the secrets file.
`python -m ox_deploy.secrets` creates that file with strong random values for all that group_data asks for.
"""

from __future__ import annotations

import argparse
import os
import re
import runpy
import secrets as random_source
import stat
import string
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ox_deploy import rules
from ox_deploy.errors import InputError
from ox_deploy.questions.run import current_run
from ox_deploy.settings import PasswordSettings, check_contexts, parse

REPLICATION = "mysql_replication"
OPENEXCHANGE = "mysql_openexchange"
MASTER_ADMIN = "oxadminmaster"
REPOSITORY_USER = "ox_repository_user"
REPOSITORY_PASSWORD = "ox_repository_password"  # noqa: S105 - a name, not a password

# oxinstaller drops, folds or chokes on other characters (see docs/guide/groupware.md).
ALLOWED = re.compile(r"[A-Za-z0-9=:%#_.-]+")
SHORTEST, LONGEST = 12, 128
GUIDE_EXAMPLES = {
    "secret",
    "password",
    "changeme",
    "openexchange",
    "open-xchange",
    "oxadmin",
    "oxadminmaster",
}


class Secret:
    """A password that shows itself only when asked to, so that no message or log can hold it by accident."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the password in clear, to be handed to a command's standard input."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(****)"


def user_secret(context_id: int, user: str) -> str:
    """Return the name under which the password of a groupware user is kept."""
    return f"context_{context_id}_{user}"


def names_needed(contexts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of all passwords a cluster with these contexts needs, repository access aside."""
    users = [
        user_secret(context["id"], name)
        for context in contexts
        for name in [context["admin"], *(user["name"] for user in context.get("users", []))]
    ]
    return [REPLICATION, OPENEXCHANGE, MASTER_ADMIN, *users]


class Secrets:
    """The passwords of one cluster."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self._path = path
        self._environment = environment
        self._stored = _read(path)

    def get(self, name: str) -> Secret:
        """Return a password that has to meet the rules; raises InputError if it is missing or weak."""
        value = self._find(name)
        if value is None:
            raise InputError(
                f"{self._path}: `{name}` is missing; set {_variable(name)} or run `python -m ox_deploy.secrets`."
            )
        self._check(name, value)
        return Secret(value)

    def find(self, name: str) -> Secret | None:
        """Return a value that somebody else chose (repository access), or None."""
        value = self._find(name)
        return None if value is None else Secret(value)

    def check_repository(self) -> None:
        """Raise InputError unless the repository's user and password are both there, or none, and apt can read them."""
        found = {name: self._find(name) for name in (REPOSITORY_USER, REPOSITORY_PASSWORD)}
        if len({value is None for value in found.values()}) > 1:
            raise InputError(
                f"{self._path}: only one of `{REPOSITORY_USER}` and `{REPOSITORY_PASSWORD}` is set; set both, or "
                "neither for a repository without a password."
            )
        for name, value in found.items():
            if value is not None and not (value and value.isascii() and value.isprintable() and " " not in value):
                raise InputError(
                    f"{self._path}: `{name}` is empty or has blanks, control characters or non-ASCII characters, "
                    "which apt cannot read; change it."
                )

    def _find(self, name: str) -> str | None:
        value = self._environment.get(_variable(name), self._stored.get(name))
        if value is not None and not isinstance(value, str):
            raise InputError(f"{self._path}: `{name}` should be a text in quotes.")
        return value

    def _check(self, name: str, value: str) -> None:
        remedy = "choose another, or let `python -m ox_deploy.secrets` make one"
        if value.lower() in GUIDE_EXAMPLES:
            raise InputError(f"{self._path}: `{name}` is a well-known example; {remedy}.")
        if len(value) < SHORTEST or len(set(value)) < SHORTEST // 2:
            raise InputError(
                f"{self._path}: `{name}` is weak; it should have at least {SHORTEST} characters, "
                f"{SHORTEST // 2} of them different; {remedy}."
            )
        if len(value) > LONGEST:
            raise InputError(
                f"{self._path}: `{name}` has {len(value)} characters; it should have at most {LONGEST}; {remedy}."
            )
        if not ALLOWED.fullmatch(value):
            raise InputError(
                f"{self._path}: `{name}` has characters that Open-Xchange's installer damages; "
                f"it should have letters, digits and =:%#_.- only; {remedy}."
            )


def load(path: str) -> Secrets:
    """Return the passwords from the environment and the file at `path` (relative to the working directory).

    Read once in a run.

    Raises InputError if the file can be read by others or is not TOML.
    """
    loaded = current_run().secrets
    if path not in loaded:
        loaded[path] = Secrets(Path(path).expanduser(), os.environ)
    return loaded[path]


def _variable(name: str) -> str:
    return "OX_DEPLOY_" + re.sub(r"\W", "_", name).upper()


def _read(path: Path) -> dict[str, Any]:
    return _parse(path) if _is_there(path) else {}


def _is_there(path: Path) -> bool:
    """Tell whether there is a secrets file, and refuse what is none or can be read by others."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: it cannot be accessed ({_reason(error)}); correct `secrets_file`.") from None
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise InputError(f"{path}: it is {kind}; it should be the file with the passwords; correct `secrets_file`.")
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise InputError(
            f"{path}: its mode is {mode:04o}, so others can read it; it should be 0600: run `chmod 600 {path}`."
        )
    return True


def _parse(path: Path) -> dict[str, Any]:
    """Return what the file has."""
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise InputError(f"{path}: it cannot be read ({_reason(error)}); make it readable.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: it is not UTF-8 (byte {error.start + 1}); save it as UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: it is not valid TOML ({error}); fix it.") from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def create(path: Path, contexts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Add a strong random value for each missing name to the secrets file; values it has are kept.

    + path: the file, created with mode 0600
    + contexts: the `contexts` of group_data/all.py

    Returns the names that were added.
    """
    stored = _read(path)
    missing = [name for name in names_needed(contexts) if name not in stored]
    ends_in_line = path.exists() and path.read_text() and not path.read_text().endswith("\n")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise InputError(f"{path}: it cannot be written ({_reason(error)}); correct `secrets_file`.") from None
    with os.fdopen(descriptor, "a") as file:
        file.write("\n" if ends_in_line else "")
        for name in missing:
            file.write(f'"{name}" = "{_random_password()}"\n')
    return missing


def _random_password() -> str:
    return "".join(random_source.choice(string.ascii_letters + string.digits) for _ in range(24))


def _asked_for(group_data: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the secrets file and the contexts of a file of group data.

    Raises InputError if it cannot be run, or if these are wrong in it.
    """
    try:
        found = runpy.run_path(group_data)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise InputError(f"{group_data}: it cannot be read ({rules.plain(said)}); fix it.") from None
    known = {key: found[key] for key in PasswordSettings.model_fields if key in found}
    settings = parse(PasswordSettings, known, group_data)
    check_contexts(settings.contexts)
    return settings.secrets_file, [context.model_dump() for context in settings.contexts]


def main(arguments: Sequence[str] | None = None) -> None:
    """Create or complete the secrets file, as the command's arguments say."""
    parser = argparse.ArgumentParser(
        prog="python -m ox_deploy.secrets", description="Create or complete the secrets file."
    )
    parser.add_argument("--group-data", default="group_data/all.py", help="the file that lists the contexts")
    parser.add_argument("--file", help="the secrets file (default: `secrets_file` of group_data)")
    given = parser.parse_args(arguments)
    try:
        file, contexts = _asked_for(given.group_data)
        path = Path(given.file or file).expanduser()
        added = create(path, contexts)
    except InputError as error:
        parser.exit(1, f"{error}\n")
    print(f"{path}: {len(added)} passwords added ({', '.join(added) or 'none was missing'})")


if __name__ == "__main__":
    main()
