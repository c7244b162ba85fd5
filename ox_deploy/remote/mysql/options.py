"""Where a server's settings come from: the option files that it reads, in their order, compared with what it says."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ox_deploy.mysql.dialects import server_of_version, version_numbers
from ox_deploy.remote.common.files import read
from ox_deploy.remote.common.types import Document

# What servers read first, unless their command line names another file.
START_FILES = ("/etc/my.cnf", "/etc/mysql/my.cnf", "/usr/etc/my.cnf")
# MySQL keeps here what was set by SET PERSIST, in the data directory, and reads it last.
PERSISTED = "mysqld-auto.cnf"
COMMAND_LINE = "its command line"
# Other names of an option.
ALIASES = {"skip_log_bin": "log_bin", "disable_log_bin": "log_bin"}
# What our file means, too; it names the binary log in a file of its own.
MEANT = {"skip_networking": "OFF", "log_bin": "ON"}


class Option(NamedTuple):
    """An option, and the file with the number of its line that sets it.

    No dataclass: that module would cost each question a twentieth of its time.
    """

    place: str
    name: str
    value: str

    @property
    def path(self) -> str:
        """Return the file alone."""
        return self.place.rpartition(":")[0]


def normal(name: str) -> str:
    """Return an option's name as the servers understand it."""
    name = name.strip().lower().replace("-", "_").removeprefix("loose_")
    return ALIASES.get(name, name)


def groups_of(version: str) -> set[str]:
    """Return the groups of option files that a server reads."""
    release = ".".join(map(str, version_numbers(version)[:2]))
    names = {"mysqld", "mariadb", "mariadbd"} if server_of_version(version) == "MariaDB" else {"mysqld"}
    return {"server", *names, *(f"{name}-{release}" for name in names)}


def options_in(path: str, groups: set[str], depth: int = 0, ours: str = "") -> Iterator[Option | str]:
    """Yield the options of a file and of those that it includes, and before them the paths of the files themselves.

    + ours: a file that counts as being there
    """
    text = read(path)
    if text is None and path == ours:
        yield path
    if text is None or depth > 10:
        return
    yield os.path.realpath(path)
    group = ""
    for number, line in enumerate(text.decode(errors="replace").splitlines(), 1):
        line = line.strip()
        if line.startswith("!"):
            word, _, target = line.partition(" ")
            inner = files_in(target.strip(), ours) if word == "!includedir" else [target]
            for file in inner:
                yield from options_in(file.strip(), groups, depth + 1, ours)
        elif found := re.match(r"\[\s*([^\]]+?)\s*\]", line):
            group = found[1]
        elif group in groups and line and line[0] not in "#;":
            name, _, value = line.partition("=")
            yield Option(f"{path}:{number}", normal(name), unquoted(value))


def files_in(folder: str, ours: str) -> list[str]:
    """Return the files of a folder that is included, in their order; one of ours as if it were there."""
    found = set(glob.glob(f"{glob.escape(folder)}/*.cnf"))
    own = os.path.join(folder, os.path.basename(ours))
    return sorted(found | ({own} if os.path.normpath(own) == ours else set()))


def unquoted(value: str) -> str:
    """Return a value of an option file without a comment and quotes around it."""
    value = re.sub(r"\s#.*", "", value).strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def command_line(pid_file: str) -> list[str]:
    """Return the words with which a server was started, without the program; none where that is not known."""
    number = (read(pid_file) or b"").decode().strip() if pid_file else ""
    words = (read(f"/proc/{number}/cmdline") or b"").decode(errors="replace") if number.isdigit() else ""
    return words.split("\0")[1:]


class Origins:
    """The options of a running server: what sets each of them last, and which files it reads."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        words = command_line(variables.get("pid_file", ""))
        given = dict(word.lstrip("-").partition("=")[::2] for word in words if word.startswith("--"))
        named = given.pop("defaults-file", None)
        starts = [named] if named else [*START_FILES, *filter(None, [given.pop("defaults-extra-file", None)])]
        found = [one for path in starts for one in options_in(path, groups_of(variables.get("version", "")))]
        self.start = next((path for path in reversed(starts) if os.path.exists(path)), starts[0])
        self.files = {one for one in found if isinstance(one, str)}
        self._last = {one.name: one for one in found if isinstance(one, Option)}
        self._last |= {normal(name): Option(COMMAND_LINE, normal(name), value) for name, value in given.items()}
        persisted = os.path.join(variables.get("datadir", ""), PERSISTED)
        text = (read(persisted) or b"").decode(errors="replace")
        for name in re.findall(r'"(\w+)"\s*:\s*{\s*"Value"', text):
            self._last[name] = Option(persisted, name, "")

    def place(self, name: str) -> str:
        """Return what sets an option last, such as `/etc/my.cnf:7`; "" if nothing does."""
        found = self._last.get(name)
        return found.place if found else ""

    def is_overruled(self, name: str, ours: str) -> bool:
        """Tell whether a server that starts anew would not do what a file of ours says either."""
        found = self._last.get(name)
        return not self._reads(ours) or (found is not None and found.path != ours)

    def _reads(self, path: str) -> bool:
        return os.path.realpath(path) in self.files

    def why(self, name: str, ours: str) -> str:
        """Say why a server does not do what a file of ours says, and what to do."""
        if not self._reads(ours):
            folder = os.path.dirname(ours)
            return f"this server does not read our file; let {self.start} end with the line `!includedir {folder}`"
        if not self.is_overruled(name, ours):
            return "it was set while the server runs; restart the server, or set it back with `SET GLOBAL`"
        place = self.place(name)
        if place.endswith(PERSISTED):
            return f"{place} wins; run `RESET PERSIST {name}` there and restart the server"
        return f"{place} wins; remove it there and restart the server"


def differences(found: Mapping[str, str], files: list[str], names: list[str] | None = None) -> list[Document]:
    """Return where a running server differs from files of ours, the first one first; none where they are not there.

    + found: its variables, the version among them
    + names: those that are compared; None for all that the files set
    """
    says = settings_in(files)
    if not says:
        return []
    wanted = MEANT | {name: value for name, value in says.items() if names is None or name in names}
    differing = {name: value for name, value in wanted.items() if name in found and plain(found[name]) != plain(value)}
    origins = Origins(found) if differing else None
    return [
        described(name, found[name], value, saying(name, files), origins)
        for name, value in differing.items()
        if origins
    ]


def described(name: str, value: str, wanted: str, ours: str, origins: Origins) -> Document:
    """Return a difference as the facts have it."""
    told = {"why": origins.why(name, ours), "overruled": origins.is_overruled(name, ours)}
    return {"name": name, "value": value, "wanted": wanted, "file": ours, **told}


def saying(name: str, files: list[str]) -> str:
    """Return the last one of our files that sets a variable; the first one means the rest."""
    return next((path for path in reversed(files) if name in settings_in([path])), files[0])


def said(difference: Document) -> str:
    """Return a difference in words."""
    return "`{name}` is {value}, but {file} says {wanted}; {why}".format(**difference)


def settings_in(paths: list[str]) -> dict[str, str]:
    """Return the variables that files of a database server set, those of later files before those of earlier ones."""
    lines = [line.partition("=") for path in paths for line in (read(path) or b"").decode().splitlines()]
    return {name.strip().replace("-", "_"): value.strip() for name, sign, value in lines if sign and name[:1] != "#"}


def plain(value: str) -> str | float:
    """Return a value in one of its spellings."""
    text = value.strip().upper()
    if text in ("ON", "OFF"):
        text = "1" if text == "ON" else "0"
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else text
