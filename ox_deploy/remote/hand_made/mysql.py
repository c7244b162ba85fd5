"""Find options of a database server that would win over ours."""

from __future__ import annotations

import os

from ox_deploy.remote.common.types import Document
from ox_deploy.remote.mysql.options import START_FILES, Option, normal, options_in, plain

Span = tuple[int, int]
GROUPS = {"server", "mysqld", "mariadb", "mariadbd"}


def overruling(ours: str, options: Document) -> dict[str, list[Span]]:
    """Return the lines, by file, that would win over our file if it were there."""
    found: dict[str, list[Span]] = {}
    is_after = False
    for start in START_FILES:
        for one in options_in(start, GROUPS, ours=ours):
            if one == ours:
                is_after = True
            elif is_after and isinstance(one, Option) and one.path != ours and is_other(one, options):
                path, _, number = one.place.rpartition(":")
                spans = found.setdefault(os.path.realpath(path), [])
                spans += [(int(number), int(number))]
    return {path: sorted(set(spans)) for path, spans in found.items()}


def is_other(option: Option, options: Document) -> bool:
    """Tell whether an option is one of ours with another value."""
    wanted = {normal(name): value for name, value in options.items()}
    return option.name in wanted and plain(option.value) != plain(wanted[option.name])
