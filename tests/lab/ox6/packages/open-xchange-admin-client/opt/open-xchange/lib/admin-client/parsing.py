"""Options of the tools: -n NAME, -nNAME, --name NAME and --name=NAME. The last one counts."""

from dataclasses import dataclass
from typing import Any

MISSING = 104
ILLEGAL = 109
UNKNOWN = 111
NOT_A_NUMBER = 1


@dataclass(frozen=True)
class Option:
    name: str
    short: str = ""
    help: str = ""
    needed: bool = False
    kind: str = "text"  # or number, bool (a value that is true or anything else), flag (no value)

    def __str__(self) -> str:
        return f"-{self.short},--{self.name}" if self.short else f"--{self.name}"


class UsageError(Exception):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def parse(options: list[Option], arguments: list[str], defaults: dict[str, Any]) -> dict[str, Any]:
    """Values by long name. A default takes the place of a mandatory option that is not given, of no other."""
    found: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            continue  # a word that belongs to no option is not looked at
        option, value = _split(options, word)
        if option.kind != "flag" and value is None:
            if not rest:
                raise UsageError(f"Illegal option value '' for option {option}", ILLEGAL)
            value = rest.pop(0)
        found[option.name] = value if value is not None else True
    if not {"help", "environment"} & found.keys():
        _complete(options, found, defaults)
    return found


def _split(options: list[Option], word: str) -> tuple[Option, str | None]:
    if word.startswith("--"):
        name, separator, value = word[2:].partition("=")
        matching = [option for option in options if option.name == name]
        given = value if separator else None
    else:
        matching = [option for option in options if option.short == word[1]]
        given = word[2:].removeprefix("=") or None
    if not matching:
        raise UsageError(f"Unknown option '{word.partition('=')[0]}'", UNKNOWN)
    return matching[0], given


def _complete(options: list[Option], found: dict[str, Any], defaults: dict[str, Any]) -> None:
    for option in options:
        if option.needed and option.name not in found and option.name in defaults:
            found[option.name] = defaults[option.name]
    missing = [str(option) for option in options if option.needed and option.name not in found]
    if missing:
        raise UsageError(f'Option(s) "{", ".join(missing)}" missing', MISSING)
    for option in options:
        if option.name in found:
            found[option.name] = _convert(option, found[option.name])


def _convert(option: Option, value: Any) -> Any:
    if option.kind == "bool":
        return str(value) == "true"  # yes, TRUE and 1 are false
    if option.kind != "number":
        return value
    try:
        return int(value)
    except ValueError:
        raise UsageError("Error: Ids must be numbers!", NOT_A_NUMBER) from None
