"""Renders the files of `templates/`, whose paths mirror the paths on the hosts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

# In a wheel the folder lies inside the package, in a checkout beside it.
_FOLDERS = [Path(__file__).parent / "templates", Path(__file__).parent.parent / "templates"]


@cache
def _environment() -> Environment:
    return Environment(  # noqa: S701 - configuration files, not HTML
        loader=FileSystemLoader(_FOLDERS),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(path: str, /, **values: Any) -> str:
    """Return the text for the file at `path` on a host; its template is `templates` + path + `.j2`."""
    return _environment().get_template(f"{path.removeprefix('/')}.j2").render(**values)
