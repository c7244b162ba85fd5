"""Wait for what somebody else, or systemd itself, does with a unit just now; put before the programs that use it."""

import time

# How long somebody else's stop of a unit may take.
STOP_SECONDS = 120


def wait_until_settled(unit):
    """Wait while a unit starts or is stopped; stop if that does not end.

    It may not use what is written meanwhile, and MariaDB that is told to end while it starts never does.
    """
    state = active_state(unit)
    if state in ("activating", "reloading"):
        run(["systemctl", "start", unit])
        state = active_state(unit)
    deadline = time.monotonic() + STOP_SECONDS
    while state == "deactivating":
        if time.monotonic() > deadline:
            text = (
                "{0} was told to stop, but still runs after {1} s; wait until it has ended, or, if it hangs, end it "
                "with `systemctl kill -s KILL {0}`; then run again"
            )
            fail(text.format(unit, STOP_SECONDS))
        time.sleep(0.5)
        state = active_state(unit)


def active_state(unit):
    """Return systemd's word for what a unit does."""
    return run(["systemctl", "is-active", unit]).stdout.strip()
