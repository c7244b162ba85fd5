"""The state of the cluster as one HTML file that needs nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ox_deploy.findings import Level
from ox_deploy.status import words
from ox_deploy.status.picture import sizes
from ox_deploy.status.picture.draw import draw
from ox_deploy.status.snapshot import Changes, LinkKind, Snapshot


def render_page(snapshot: Snapshot, changes: Changes) -> str:
    """Return the page. Whatever hosts and servers said is escaped in it."""
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            snapshot=snapshot,
            changes=changes,
            picture=draw(snapshot),
            sizes={"name": sizes.NAME_SIZE, "text": sizes.TEXT_SIZE, "label": sizes.LABEL_SIZE},
            kinds=list(LinkKind),
            levels=list(Level),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "level": words.level_text,
        "state": words.state_text,
        "roles": words.roles_text,
        "time": words.time_text,
        "result": words.result_text,
    }
    return environment
