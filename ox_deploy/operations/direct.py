"""Carries out a command on any host in the middle of an operation."""

from __future__ import annotations

from pyinfra.api import Host, OperationError, StringCommand

from ox_deploy.questions.pyinfra_internals import run_like_facts


def carry_out(target: Host, command: StringCommand) -> str:
    """Run a command on a host in the way that facts run there (sudo and the like), and return what it printed.

    + target: the host, current or not
    + command: what it runs

    Raises OperationError with the last line of what it said if it fails.
    """
    ok, output = run_like_facts(target, command)
    if not ok:
        said = output.stderr_lines[-1] if output.stderr_lines else "it failed without an error message"
        raise OperationError(f"{target.name}: {said}")
    return "\n".join(output.stdout_lines)
