"""What we need of pyinfra that it does not document. No other module of this package knows pyinfra from inside.

Any release of pyinfra may change it. So each use is a function or class of its own, which says why it is needed;
pyproject.toml asks for the minor version that was tried; and tests/unit/test_pyinfra_internals.py tries each use with
the pyinfra that is installed.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import click
import gevent
import pyinfra.api.arguments
import pyinfra.api.connectors
import pyinfra.api.facts
import pyinfra.api.util
import pyinfra.connectors.util
from pyinfra import logger
from pyinfra.api import BaseStateCallback, Config, Host, Inventory, State, StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.state import StateHostMeta, StateStage
from pyinfra.connectors.util import CommandOutput as CommandOutput
from pyinfra.context import ctx_config, ctx_host, ctx_inventory, ctx_state

Result = tuple[bool, CommandOutput]
Runner = Callable[..., Result]

# pyinfra gives them no types.
_HOST: Any = ctx_host
_STATE: Any = ctx_state
_INVENTORY: Any = ctx_inventory
_CONFIG: Any = ctx_config

_OURS = "ox_deploy_run"

T = TypeVar("T")


# --- whose turn it is --------------------------------------------------------------------------------------


def current_host() -> Host:
    """Return the host whose turn it is.

    pyinfra's `host` only stands for it, and for another one in the next turn. So that can neither be kept nor be a key.
    """
    host: Host = _HOST.get()
    return host


@contextmanager
def turn_of(host: Host) -> Iterator[None]:
    """Have pyinfra's `host` stand for this one for a while, which is how operations and deploys learn of theirs.

    + host: any host of the inventory
    """
    with _set(_HOST, host):
        yield


@contextmanager
def _set(context: Any, value: Any) -> Iterator[None]:
    """Set what pyinfra calls a context, for a while; its own `use` does not clean up after an exception."""
    before = context.get()
    context.set(value)
    try:
        yield
    finally:
        context.set(before)


def operation_names() -> list[str]:
    """Return how the operation is called that is under way on the host whose turn it is; nothing if there is none.

    A question has no name of its own, so this is what a person can be told. There are several names where hosts call
    the same operation differently.
    """
    if not (_HOST.isset() and _STATE.isset()):
        return []
    host, state = _HOST.get(), _STATE.get()
    # The first one while operations are executed, the second one while pyinfra looks for changes.
    operation = host.executing_op_hash or host.current_op_hash
    # "Deploy | Operation"
    return [name.rpartition(" | ")[2] for name in sorted(state.get_op_meta(operation).names)] if operation else []


# --- the run -----------------------------------------------------------------------------------------------


def current_state() -> State:
    """Return the state of the run itself, which can be kept, as with `current_host`."""
    state: State = _STATE.get()
    return state


def kept_with(state: State, make: Callable[[], T]) -> T:
    """Return what we keep with a state of pyinfra, which has no place for it: made the first time, gone with the state.

    + state: of the run
    + make: makes it
    """
    kept = vars(state)
    if _OURS not in kept:
        kept[_OURS] = make()
    ours: T = kept[_OURS]
    return ours


def current_inventory() -> Inventory | None:
    """Return the inventory, None where pyinfra has not read one (yet)."""
    inventory: Inventory | None = _INVENTORY.get()
    return inventory


def is_executing() -> bool:
    """Tell whether pyinfra executes operations; not while it only looks for changes, and not without a run.

    An operation runs in both phases, and pyinfra does not tell it in which one it is.
    """
    return bool(_STATE.isset() and _STATE.get().is_executing)


def active_hosts() -> Collection[Host]:
    """Return the hosts that take part in the run and have not failed."""
    return current_state().active_hosts


def failed_hosts() -> Collection[Host]:
    """Return the hosts that could not be connected or have failed; pyinfra silently goes on without them."""
    return current_state().failed_hosts


def took_part(host: Host) -> bool:
    """Tell whether a host was connected when the run began, also if it has failed since."""
    return host in current_state().activated_hosts


def is_limited() -> bool:
    """Tell whether `--limit` or `--exclude` was given."""
    return current_state().limit_hosts is not None


def is_in_limit(host: Host) -> bool:
    """Tell whether `--limit` and `--exclude` leave this host, whether it can be reached or not."""
    state: Any = current_state()
    return bool(state.is_host_in_limit(host))


def hosts_with_errors() -> Iterator[Host]:
    """Yield the hosts on which an operation has failed so far.

    pyinfra itself looks for failures only when all hosts had their turn, also with `_serial` and FAIL_PERCENT = 0.
    """
    return (host for host, results in current_state().results.items() if results.error_ops)


def end_run_on_failure() -> None:
    """Let one host that fails end the run after the operation that is under way. Idempotent.

    Not by `pyinfra.config`: that is a copy which is forgotten when the operations run.
    """
    current_state().config.FAIL_PERCENT = 0


def keep_config() -> None:
    """Let the configuration stay as it is now; pyinfra resets it after each deploy file otherwise. Idempotent."""
    current_state().config.lock_current_state()


def add_handler(handler: type[BaseStateCallback]) -> None:
    """Have pyinfra call a handler. Idempotent: every host's turn may ask for it, and it is called once.

    + handler: its class, of which there is one instance in a run
    """
    state: Any = current_state()
    if not any(isinstance(known, handler) for known in state.callback_handlers):
        state.add_callback_handler(handler())


def has_acted(state: State, operation: str) -> bool:
    """Tell whether an operation has sent a command to any host, or has failed after it may have.

    + state: the state of the run, as a handler is given it
    + operation: the operation's hash, as a handler is given it
    """
    done = [ops[operation].operation_meta for ops in state.ops.values() if operation in ops]
    return any(meta.is_complete() and (meta.did_change() or meta.did_error()) for meta in done)


def look_up_once() -> None:
    """Have pyinfra look up once what stays the same, and of the stack only what it uses. Idempotent.

    At each operation of each host it reads the source text around all frames, and works out the types of its own
    arguments; for each host it goes through all installed packages for connectors. With many hosts, that would be two
    thirds of the control machine's work.
    """
    places: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
        (pyinfra.api.util, "stack", _frames),
        (pyinfra.api.util, "getframeinfo", _place_of),
        (pyinfra.api.arguments, "all_global_arguments", _argument_types),
        (pyinfra.api.facts, "all_global_arguments", _argument_types),
        (pyinfra.api.connectors, "entry_points", _entry_points),
    )
    for module, name, instead in places:
        setattr(module, name, instead)


_argument_types = cache(pyinfra.api.arguments.all_global_arguments)
_entry_points = cache(pyinfra.api.connectors.entry_points)


def _frames() -> list[tuple[FrameType]]:
    """Return the frames of the stack, each as the first one of what `inspect.stack` tells of it."""
    frame: FrameType | None = sys._getframe(1)
    frames = []
    while frame:
        frames.append((frame,))
        frame = frame.f_back
    return frames


def _place_of(frame: FrameType) -> inspect.Traceback:
    """Return file, line and function of a frame as `inspect.getframeinfo` does, without the text there."""
    code = frame.f_code
    return inspect.Traceback(code.co_filename, frame.f_lineno, code.co_name, None, None)


# --- operations --------------------------------------------------------------------------------------------


def inner_of(operation: Callable[..., Any]) -> Callable[..., Generator[Any, None, None]]:
    """Return the function that an operation was made of.

    Its signature tells which arguments are the operation's own, and calling it tells whether there is something to do
    without having pyinfra note an operation.
    """
    inner: Callable[..., Generator[Any, None, None]] = operation._inner  # type: ignore[attr-defined]  # set by pyinfra
    return inner


def set_inner(call: Callable[..., Any], inner: Callable[..., Generator[Any, None, None]]) -> None:
    """Have `inner_of` find in a function that calls an operation what it would find in the operation."""
    call._inner = inner  # type: ignore[attr-defined]  # as pyinfra does


# --- commands ----------------------------------------------------------------------------------------------


def intercept_commands(host: Host, make: Callable[[Runner], Runner]) -> None:
    """Put something between pyinfra and a host's connector, which knows no end of a wait.

    + host: all its commands go that way from now on, those of operations, of facts and of `run_in_operation`
    + make: is given what runs a command on the host, and returns what is called in its place, in the same way

    Not idempotent: called twice, the second one stands before the first one.
    """
    connector: Any = host.connector
    # An attribute of the instance comes before the method of its class.
    vars(connector)["run_shell_command"] = make(connector.run_shell_command)


def keep_alive(host: Host, seconds: int) -> bool:
    """Keep firewalls from forgetting a connection by SSH: use it after so many seconds of silence. Idempotent.

    Return whether there is such a connection; pyinfra has no setting for it, and other connectors have no client.
    """
    client = getattr(host.connector, "client", None)
    transport = client.get_transport() if client else None
    if transport:
        transport.set_keepalive(seconds)
    return bool(transport)


def connect(host: Host, reason: str | None = None, show_errors: bool = True) -> None:
    """Connect a host, also one outside `--limit`. Idempotent.

    + reason: shown beside "Connected"
    + show_errors: have pyinfra show why it fails, besides

    Raises ConnectError, or what the connector raises.
    """
    host.connect(reason=reason, show_errors=show_errors, raise_exceptions=True)


def is_connected(host: Host) -> bool:
    """Tell whether there is a connection to a host."""
    return host.connected


def run_in_operation(host: Host, command: StringCommand) -> Result:
    """Run a command in the middle of an operation, on its host and in the way that it is told to (sudo and the like).

    Return whether it worked and what it printed. An operation only yields commands, so it does not see their output.
    """
    return _run(host, command, host.current_op_global_arguments or {})


def run_like_facts(host: Host, command: StringCommand) -> Result:
    """Run a command on any host in the way that facts run there, also while no operation is under way on that host.

    Return whether it worked and what it printed.
    """
    told = dict(host.current_op_global_arguments or {})
    return _run(host, command, pop_global_arguments(current_state(), host, told)[0])


def _run(host: Host, command: StringCommand, told: Mapping[str, Any]) -> Result:
    arguments: dict[str, Any] = {key: told[key] for key in CONNECTOR_ARGUMENT_KEYS if key in told}
    return host.run_shell_command(command, **arguments | command.connector_arguments)


# --- what is shown -----------------------------------------------------------------------------------------


def print_no_traceback(error: type[BaseException]) -> None:
    """Keep gevent from printing a traceback of such an error where a host's greenlet ends with it. Idempotent.

    pyinfra raises what ends a run once more, and shows its sentence.
    """
    hub: Any = gevent.get_hub()
    if error not in hub.NOT_ERROR:
        hub.NOT_ERROR = (*hub.NOT_ERROR, error)


def warn(host: Host, text: str) -> None:
    """Show a warning about a host in the way that pyinfra shows its own."""
    logger.warning(f"{host.print_prefix}{text}")


# --- pyinfra's command, and a program in its place -----------------------------------------------------------


def limits_of_command() -> tuple[list[str], list[str]] | None:
    """Return what `--limit` and `--exclude` say; None where it is not pyinfra's command that runs.

    pyinfra keeps only which hosts are left, so a name in `--limit` that is none cannot be seen afterwards.
    """
    context = click.get_current_context(silent=True)
    if context is None or "limit" not in context.params:
        return None
    return list(context.params["limit"] or ()), list(context.params.get("exclude") or ())


def at_end_of_command(look: Callable[[], None]) -> None:
    """Have something called when pyinfra's command ends, whatever it has done; SystemExit gives another exit code."""
    click.get_current_context().call_on_close(look)


def ask_no_password(instead: Callable[..., str]) -> None:
    """Have a function called where pyinfra would ask at the terminal for the password that sudo wants. Idempotent."""
    pyinfra.connectors.util.getpass = instead


@contextmanager
def read_inventory(inventory_file: str, config: Config, data: Mapping[str, Any]) -> Iterator[State]:
    """Read an inventory with its group data as pyinfra's command does, for a program that takes its place.

    + inventory_file: what pyinfra's command takes as its inventory
    + config: pyinfra's configuration
    + data: what `--data` would say

    Connects to nobody. Raises what the files raise.
    """
    # Not above: it changes the standard library for gevent, which is up to who starts the program.
    from pyinfra_cli.inventory import make_inventory

    state = State(check_for_changes=False)
    state.cwd = str(Path.cwd())
    with _set(_STATE, state), _set(_CONFIG, config):
        inventory = make_inventory(inventory_file, cwd=state.cwd, override_data=dict(data))
        state.init(inventory, config)
        with _set(_INVENTORY, inventory):
            yield state


def prepare(state: State, host: Host, deploy: Callable[[], object]) -> None:
    """Call deploys for a host as pyinfra does before it executes anything, and forget which operations it noted.

    + state: of the run
    + deploy: calls deploys or operations, which neither ask nor wait now

    None of them is executed, also where pyinfra's command goes on. Nor would its notes of different hosts fit together
    where that does not run: it tells operations apart by how many a host had before.
    """
    state.current_stage = StateStage.Prepare
    state.activate_host(host)
    looks, state.check_for_changes = state.check_for_changes, False
    try:
        with turn_of(host):
            deploy()
    finally:
        state.check_for_changes = looks
    state.op_meta.clear()
    state.ops[host].clear()
    state.meta[host] = StateHostMeta()
    host.op_hash_order.clear()


def data_of(host: Host) -> dict[str, Any]:
    """Return all data of a host: inventory, group data and `--data`, of which the more particular one has won.

    What is documented is a look for one key, which finds no key that should not be there.
    """
    data: dict[str, Any] = host.data.dict()
    return data
