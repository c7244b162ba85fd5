"""The configuration of a groupware node."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.openxchange import Configuration, OpenXchangeConfiguration
from ox_deploy.operations.stop import stop
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import order
from ox_deploy.questions.pyinfra_internals import is_executing
from ox_deploy.questions.question import Question
from ox_deploy.secrets import Secret

# Stands on oxinstaller's command line instead of the passwords, which are written to its files afterwards.
PLACEHOLDER = "set-by-ox-deploy"


class PasswordScheme(Protocol):
    """How the administrator's password is stored: as a hash that begins with its salt."""

    salt_length: int

    def hash(self, password: str, salt: str | None = None) -> str:
        """Return the hash of a password, with a salt of its own unless one is given."""
        ...


@dataclass(frozen=True)
class Administrator:
    """The administrator of the whole cluster, and the file with the hash of the password."""

    name: str
    password: Secret
    file: str
    scheme: PasswordScheme

    def matches(self, configuration: Configuration) -> bool:
        """Tell whether the stored hash is that of the password."""
        stored = configuration.administrator
        if stored is None:
            return False
        return stored.hash.matches(self.scheme.hash(self.password.reveal(), stored.salt))


@dataclass(frozen=True)
class WantedConfiguration:
    """Files below /opt/open-xchange/etc as they should be, by their paths there.

    `values` gives keys and values by file, None for a key that should be commented out; `memory` gives keys
    whose value should contain a text. `secrets` holds (prefix, password) by file and key.
    """

    values: Mapping[str, Mapping[str, str | None]]
    memory: Mapping[str, Mapping[str, str]]
    secrets: Mapping[str, Mapping[str, tuple[str, Secret]]]
    administrator: Administrator

    def keys(self) -> dict[str, list[str]]:
        """Return the keys to ask for, by file."""
        files = dict.fromkeys([*self.values, *self.memory])
        return {file: [*self.values.get(file, {}), *self.memory.get(file, {})] for file in files}

    def secret_keys(self) -> dict[str, list[str]]:
        """Return the keys to ask fingerprints for, by file."""
        return {file: list(keys) for file, keys in self.secrets.items()}

    def differences(self, found: Configuration) -> list[str]:
        """Return `file: key` of all that is not as it should be."""
        plain = [
            f"{file}: {key}"
            for file, keys in self.values.items()
            for key, value in keys.items()
            if found.values.get(file, {}).get(key) != value
        ]
        memory = [
            f"{file}: {key}"
            for file, keys in self.memory.items()
            for key, text in keys.items()
            if text not in (found.values.get(file, {}).get(key) or "")
        ]
        secret = [
            f"{file}: {key}"
            for file, keys in self.secrets.items()
            for key, (prefix, password) in keys.items()
            if key not in found.secrets.get(file, {})
            or not found.secrets[file][key].matches(prefix + password.reveal())
        ]
        administrator = [] if self.administrator.matches(found) else [self.administrator.file]
        return plain + memory + secret + administrator + found.exposed + found.unreadable


def question(wanted: WantedConfiguration, **_: Any) -> Question[Configuration]:
    """Return what has to be known of a node's configuration."""
    administrator = wanted.administrator
    return Question(
        OpenXchangeConfiguration,
        keys=wanted.keys(),
        secret_keys=wanted.secret_keys(),
        administrator={
            "name": administrator.name,
            "file": administrator.file,
            "salt_length": administrator.scheme.salt_length,
        },
    )


@prefetch.asks(question)
@operation()
def configure(
    wanted: WantedConfiguration,
    installer: Sequence[str],
    license_arguments: Sequence[str],
    services: Sequence[str],
    keep: Sequence[str],
) -> Generator[StringCommand, None, None]:
    """
    Write the node's configuration with oxinstaller where it differs from what that would write.

    + wanted: what the files should say
    + installer: arguments of oxinstaller, with a placeholder for each password
    + license_arguments: more arguments, for versions that want to be told about a licence
    + services: daemons that have to be restarted after a change; they are marked, not restarted here
    + keep: files that oxinstaller resets though an administrator may have changed them; they are kept on a
      node that was set up before

    Idempotent. No password stands on a command line.
    Guide: Configuring Open-Xchange Server, `oxinstaller` (to be performed on both nodes).
    """
    administrator = wanted.administrator
    found = ask(host, question(wanted))
    if not found.installed and is_executing():
        yield stop(f"{host.name}: Open-Xchange is not installed; run the whole deploy for this host.")
        return
    differences = wanted.differences(found)
    if not differences:
        host.noop("the configuration is right")
        return
    set_up = found.administrator is not None
    job = {
        "services": list(services),
        "installer": list(installer),
        "license": list(license_arguments),
        "set_up": set_up,
        "keep": list(keep) if set_up else [],
        "values": _values_to_write(wanted),
        "secret_files": list(wanted.secrets),
        "administrator": {
            "name": administrator.name,
            "file": administrator.file,
            "hash": administrator.scheme.hash(administrator.password.reveal()),
        },
    }
    yield order("openxchange_configure", job)


def _values_to_write(wanted: WantedConfiguration) -> dict[str, dict[str, str | None]]:
    values = {file: dict(keys) for file, keys in wanted.values.items()}
    for file, keys in wanted.secrets.items():
        for key, (prefix, password) in keys.items():
            values.setdefault(file, {})[key] = prefix + password.reveal()
    return values
