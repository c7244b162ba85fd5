"""What the programs of `verify` share."""

from __future__ import annotations

from collections.abc import Callable

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.types import Document

# After how many seconds what was made for a test goes away, whatever became of us.
GUARD_SECONDS = 120


def attempt(action: Callable[[Document], Document], job: Document) -> Document:
    """Return what an action found, or what went wrong: a test that cannot be made says so."""
    try:
        return {"error": "", **action(job)}
    except Exception as error:
        return {"error": str(error) or type(error).__name__}


def guard(unit: str, argv: list[str]) -> None:
    """Have systemd run a command in a while; it does so even if nothing is left of this program."""
    timer = [f"--on-active={GUARD_SECONDS}", "--timer-property=AccuracySec=1s"]
    done = run(["systemd-run", "--quiet", "--collect", "--unit=" + unit, *timer, *argv])
    if done.returncode:
        said = done.stderr.strip()
        raise RuntimeError(f"nothing was tried, because systemd would not clean up after us: {said}")


def release(unit: str) -> None:
    """Take back what `guard` ordered."""
    run(["systemctl", "stop", unit + ".timer"])
