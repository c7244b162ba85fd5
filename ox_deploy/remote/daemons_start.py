"""Start or restart the daemons of a groupware node, and wait until each one listens."""

import time


def wait_until_listening(service, port, seconds):
    """Wait for a daemon's port; tell whether it came."""
    deadline = time.monotonic() + seconds
    while not listens(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def begin(services):
    """Enable and start all daemons, or start them again with the files that are there now.

    They are given to systemd together: it starts them at once as far as their init scripts allow.
    """
    states = unit_states([service["name"] for service in services])
    systemctl("enable", [name for name, state in states.items() if not state["enabled"]])
    again = [service["name"] for service in services if service["restart"]]
    systemctl("restart", again)
    systemctl("start", [name for name, state in states.items() if name not in again and not state["active"]])
    return [name for name, state in states.items() if name not in again and state["active"]]


def systemctl(verb, names):
    """Do this with some units, if there are any."""
    if names:
        run_or_fail(["systemctl", verb, *names])


def finish(service, port, seconds, was_active):
    """Wait until a daemon listens."""
    if was_active and not wait_until_listening(service, port, seconds):
        # Its process died without systemd noticing.
        run_or_fail(["systemctl", "restart", service])
    if not wait_until_listening(service, port, seconds):
        log = run(["journalctl", "-q", "-n", "8", "-o", "cat", "-u", service]).stdout
        fail("{} does not listen on port {} after {} seconds; its log: {}".format(service, port, seconds, log))
    if os.path.exists(pending_path(service)):
        os.unlink(pending_path(service))


def daemons_start(job):
    """Do all of it."""
    run_or_fail(["systemctl", "daemon-reload"])
    active = begin(job["services"])
    for service in job["services"]:
        finish(service["name"], service["port"], job["seconds"], service["name"] in active)
    time.sleep(job["settle_seconds"])
