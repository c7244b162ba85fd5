"""The daemon's configuration, from the files that oxinstaller writes."""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/opt/open-xchange/etc/admindaemon")
URL = re.compile(r"jdbc:mysql://(?P<host>\[[^\]]*\]|[^:/?]*)(?::(?P<port>\d*))?(?:/(?P<schema>[^?]*))?")
ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True)
class Address:
    """A MySQL server, and who we are there."""

    host: str
    port: int
    user: str
    password: str
    schema: str = ""


@dataclass(frozen=True)
class Configuration:
    server_name: str
    port: int
    master_authentication: bool
    context_authentication: bool
    masters: dict[str, str]  # name -> crypt hash
    configdb: Address
    combinations: frozenset[str]
    contexts_per_schema: int
    user_tables: str


def read(folder: Path = FOLDER) -> Configuration:
    daemon = properties(folder / "AdminDaemon.properties")
    hosting = properties(folder / "plugin/hosting.properties")
    return Configuration(
        server_name=daemon.get("SERVER_NAME", "local"),
        port=int(daemon.get("RMI_PORT", "1099")),
        master_authentication=daemon.get("MASTER_AUTHENTICATION_DISABLED") != "true",
        context_authentication=daemon.get("CONTEXT_AUTHENTICATION_DISABLED") != "true",
        masters=masters(folder / "mpasswd"),
        configdb=configdb(properties(folder / "configdb.properties")),
        combinations=frozenset(properties(folder / "ModuleAccessDefinitions.properties")),
        contexts_per_schema=int(hosting.get("CONTEXTS_PER_SCHEMA", "1")),
        user_tables=(folder / "mysql/user.sql").read_text(),
    )


def configdb(values: dict[str, str]) -> Address:
    """The admin daemon writes, so only the write side counts."""
    login = {}
    for key, value in values.items():
        if key.startswith("writeProperty."):
            name, _, content = value.partition("=")
            login[name] = content
    return address(values["writeUrl"], login.get("user", ""), login.get("password", ""))


def address(url: str, user: str, password: str) -> Address:
    match = URL.match(url)
    if not match:
        raise ValueError(f"not an address of a MySQL server: {url}")
    host, port, schema = match["host"].strip("[]"), int(match["port"] or 3306), match["schema"] or ""
    return Address(host or "localhost", port, user, password, schema)


def masters(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = (line.partition(":") for line in path.read_text().splitlines() if not line.startswith("#"))
    return {name: digest.strip() for name, _, digest in lines if digest}


def properties(path: Path) -> dict[str, str]:
    """A Java properties file, with its escapes: a value with a backslash does not come back as written."""
    found: dict[str, str] = {}
    lines = iter(path.read_text(encoding="latin-1").splitlines())
    for line in lines:
        line = line.lstrip()
        if not line or line[0] in "#!":
            continue
        while (len(line) - len(line.rstrip("\\"))) % 2:
            line = line[:-1] + next(lines, "").lstrip()
        match = re.match(r"((?:\\.|[^=:\s\\])*)\s*[=:]?\s*(.*)", line)
        if match:
            found[unescape(match[1])] = unescape(match[2])
    return found


def unescape(text: str) -> str:
    return re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", _character, text)


def _character(match: "re.Match[str]") -> str:
    return chr(int(match[1], 16)) if match[1] else ESCAPES.get(match[2], match[2])
