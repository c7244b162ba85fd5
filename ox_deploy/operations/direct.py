"""Carries out a command on any host in the middle of an operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyinfra.api import Host, StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.exceptions import OperationError
from pyinfra.context import state


def carry_out(target: Host, command: StringCommand) -> str:
    """Run a command on a host in the way that facts run there (sudo and the like), and return what it printed.

    Raises OperationError with the last line of what it said if it fails.
    """
    told: Mapping[str, Any] = pop_global_arguments(state, target, dict(target.current_op_global_arguments or {}))[0]
    arguments = {key: told[key] for key in CONNECTOR_ARGUMENT_KEYS if key in told}
    ok, output = target.run_shell_command(command, **arguments | command.connector_arguments)
    if not ok:
        said = output.stderr_lines[-1] if output.stderr_lines else "it failed without an error message"
        raise OperationError(f"{target.name}: {said}")
    return "\n".join(output.stdout_lines)
