"""Kinds of values that settings have, each with the words that say what it should be."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ox_deploy import paths

Test = Callable[[Any], str | None]
# Marks the errors whose message is our own words.
OWN = "ox_deploy"
# How much of a wrong value is shown.
SHOWN_CHARACTERS = 60


class Rule:
    """A kind of value. `wanted` is what it should be, in words; `test` returns what else is wrong with one, or None."""

    def __init__(self, wanted: str, test: Test | None = None) -> None:
        self.wanted = wanted
        self._test = test

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Have pydantic check the type first, and this rule then."""
        return core_schema.no_info_wrap_validator_function(self._check, handler(source))

    def _check(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            value = handler(value)
        except ValidationError:
            raise wrong(f"it should be {self.wanted}") from None
        problem = self._test(value) if self._test and value is not None else None
        if problem is not None:
            raise wrong(problem or f"it should be {self.wanted}")
        return value


def wrong(words: str) -> PydanticCustomError:
    """Return an error with our own words."""
    return PydanticCustomError(OWN, "{words}", {"words": words})


def shown(value: Any) -> str:
    """Return a wrong value as it is shown: short, and without the password of a URL."""
    text = re.sub(r"//[^/@]*@", "//****@", repr(value))
    if len(text) > SHOWN_CHARACTERS:
        length = f" ({len(value)} characters)" if isinstance(value, str) else ""
        return f"{text[:SHOWN_CHARACTERS]}…{length}"
    return text


def matching(pattern: str, longest: int) -> Test:
    """Return a test for the form and the length of a text; "" says that the kind's own words are enough."""
    return lambda value: None if len(value) <= longest and re.fullmatch(pattern, value) else ""


def between(lowest: int, highest: int) -> Test:
    """Return a test for a range."""
    return lambda value: None if lowest <= value <= highest else ""


def _text(longest: int) -> Test:
    def test(value: str) -> str | None:
        if len(value) > longest or not value.strip() or value != value.strip():
            return ""
        return None if value.isprintable() else ""

    return test


_LABEL = r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_OWN_NAMES = {"localhost", "ip6-localhost", "ip6-loopback", "ip6-allnodes", "ip6-allrouters", "broadcasthost"}


def plain(text: Any) -> str:
    """Return a name as it can be printed anywhere."""
    return str(text) if str(text).isprintable() else ascii(text)


def host_name(value: str) -> str | None:
    """Return why a text is no name for a host: "" for its form, else words. None if it is one."""
    if len(value) > 253 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", value) or _is_numbers(value):
        return ""
    if value.lower() in _OWN_NAMES or value.lower().startswith("localhost."):
        return "every host uses that name for itself; give the host its own name"
    return None


def _web_name(value: str) -> str | None:
    if _is_address(value):
        return None
    return "" if "_" in value else host_name(value)


def _is_numbers(value: str) -> bool:
    return value.replace(".", "").isdigit()


def _is_address(value: str) -> bool:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _address(value: str) -> str | None:
    if not _is_address(value):
        return ""
    address = ipaddress.IPv4Address(value)
    unusable = address.is_loopback or address.is_multicast or address.is_unspecified or address.is_reserved
    if unusable or address.is_link_local or value.startswith("0."):
        return (
            "the other hosts cannot reach this one there; it should be the host's IPv4 address in the cluster's network"
        )
    return None


def _multicast_network(value: str) -> str | None:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        return ""
    return None if network.is_multicast else ""


def _multicast_address(value: str) -> str | None:
    return None if _is_address(value) and ipaddress.IPv4Address(value).is_multicast else ""


def _email(value: str) -> str | None:
    local, at, domain = value.rpartition("@")
    fine = at and re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", local) and _web_name(domain) is None
    return None if fine and len(value) <= 255 and ".." not in local and local.strip(".") == local else ""


def _url(value: str) -> str | None:
    if "@" in value:
        return (
            "it should not contain the user and password; put them into the secrets file as `ox_repository_user` and "
            "`ox_repository_password`"
        )
    match = re.fullmatch(r"https?://([^/:]+)(?::([0-9]{1,5}))?(/[A-Za-z0-9._~%+,=-]+)*/", value)
    if not match or len(value) > 1000 or not 1 <= int(match[2] or 80) <= 65535 or "/../" in value or "/./" in value:
        return ""
    return None if _web_name(match[1]) is None or match[1] == "localhost" else ""


def _nfs_options(value: str) -> str | None:
    if len(value) > 500 or not re.fullmatch(
        r"[a-z][A-Za-z0-9_.-]*(=[A-Za-z0-9_.:/-]+)?(,[a-z_][A-Za-z0-9_.-]*(=[A-Za-z0-9_.:/-]+)?)*", value
    ):
        return ""
    unfit = {
        "ro": "Open-Xchange writes there",
        "noauto": "it is mounted at boot",
        "bind": "it is an NFS mount",
        "remount": "the options are for fstab",
    }
    for option in value.split(","):
        if option in unfit:
            return f"`{option}` cannot be used, because {unfit[option]}; leave it out"
    return None


def _external(value: str) -> str | None:
    host, colon, path = value.partition(":")
    if not colon or (host_name(host) is not None and not _is_address(host)):
        return ""
    return paths.form(path)


def _web_paths(value: list[str]) -> str | None:
    # A path becomes part of Apache's settings and, with its dots escaped, of a pattern.
    test = matching(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+", 200)
    return None if all(test(path) is None for path in value) else ""


def _file(value: str) -> str | None:
    if not value or "\0" in value or not value.isprintable():
        return ""
    path = Path(value).expanduser()
    try:
        if path.is_dir():
            return "that is a directory; it should be a file on this machine"
        if not path.is_file():
            return "there is no such file on this machine; correct the path, or put the file there"
    except OSError as error:
        return f"it cannot be accessed ({error.strerror}); it should be a file on this machine"
    return None


def _local_path(value: str) -> str | None:
    return None if value and value.isprintable() and len(value) <= 1000 else ""


_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_NAME_WORDS = "a name of letters, digits and . _ -, which begins with a letter or digit and has at most {} characters"
HOST_NAME_WORDS = (
    "a name of letters, digits, - and _, in parts of at most 63 characters with dots between them, not an IP address"
)
_FILE_WORDS = "the path of a file on this machine"
_PATH_WORDS = (
    "an absolute path of letters, digits and . _ - between single slashes, without `.` or `..`, without a trailing "
    "slash, of at most 240 characters"
)

Flag = Annotated[bool, Rule("True or False")]
PortNumber = Annotated[int, Rule("a whole number from 1 to 65535", between(1, 65535))]
Name = Annotated[str, Rule(_NAME_WORDS.format(128), matching(_NAME, 128))]
LongName = Annotated[str, Rule(_NAME_WORDS.format(255), matching(_NAME, 255))]
OptionalLongName = Annotated[str | None, Rule(f"None, or {_NAME_WORDS.format(255)}", matching(_NAME, 255))]
HostName = Annotated[
    str,
    Rule(
        HOST_NAME_WORDS,
        host_name,
    ),
]
WebName = Annotated[
    str,
    Rule(
        "a host name of letters, digits and -, in parts of at most 63 characters with dots between them, or an IPv4 "
        "address",
        _web_name,
    ),
]
WebPaths = Annotated[
    list[str],
    Rule(
        "a list of paths such as /usm-json, of letters, digits and . _ ~ - between single slashes, without `.` or "
        "`..`, without a trailing slash, of at most 200 characters",
        _web_paths,
    ),
]
# At most two years, as browsers' lists want it.
HstsSeconds = Annotated[
    int | None, Rule("None, or a whole number of seconds from 0 to 63072000", between(0, 2 * 365 * 24 * 3600))
]
RouteName = Annotated[
    str | None,
    Rule("a text of letters, digits, _ and - with at most 63 characters, such as OX-1", matching("[A-Za-z0-9_-]+", 63)),
]
Address = Annotated[str, Rule("an IPv4 address such as 192.0.2.10", _address)]
MulticastNetwork = Annotated[
    str, Rule("a network within 224.0.0.0/4 without host bits, such as 224.0.0.0/8", _multicast_network)
]
MulticastAddress = Annotated[str, Rule("a multicast address such as 224.0.0.1", _multicast_address)]
Email = Annotated[
    str,
    Rule("an e-mail address such as anna@example.com, of at most 255 ASCII characters", _email),
]
Text = Annotated[
    str, Rule("a text of at most 128 printable characters, without leading or trailing blanks", _text(128))
]
DisplayName = Annotated[
    str, Rule("a text of at most 320 printable characters, without leading or trailing blanks", _text(320))
]
RepositoryUrl = Annotated[
    str, Rule("an address such as https://repository.example.com/OX6/6.10/, which ends with a slash", _url)
]
NfsOptions = Annotated[
    str, Rule("mount options separated by commas, without blanks, such as rw,hard,_netdev", _nfs_options)
]
ExternalFilestore = Annotated[
    str | None, Rule("None, or host and path of an NFS server such as nas.example.com:/export/ox", _external)
]
File = Annotated[str, Rule(_FILE_WORDS, _file)]
OptionalFile = Annotated[str | None, Rule(f"None, or {_FILE_WORDS}", _file)]
LocalPath = Annotated[str, Rule("a path on this machine", _local_path)]
OptionFile = Annotated[str | None, Rule(f"None, or {_PATH_WORDS}", paths.form)]
FilestorePath = Annotated[str, Rule(_PATH_WORDS, paths.find_reason_against_filestore)]
