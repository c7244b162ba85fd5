"""Start or restart daemons of a groupware node, one after the other, and wait until each one listens."""

import time


def wait_until_listening(service, port, seconds):
    """Wait for a daemon's port; tell whether it came."""
    deadline = time.monotonic() + seconds
    while not listens(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def start(service, port, restart, seconds):
    """Bring one daemon up with the files that are there now."""
    states = unit_states([service])[service]
    if not states["enabled"]:
        run_or_fail(["systemctl", "enable", service])
    if restart:
        run_or_fail(["systemctl", "restart", service])
    elif not states["active"]:
        run_or_fail(["systemctl", "start", service])
    elif not wait_until_listening(service, port, seconds):
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
    for service in job["services"]:
        start(service["name"], service["port"], service["restart"], job["seconds"])
    time.sleep(job["settle_seconds"])
