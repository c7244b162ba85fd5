"""What the programs of `verify` share; its text is put before each of them."""

# After how many seconds what was made for a test goes away, whatever became of us.
GUARD_SECONDS = 120


def attempt(action, job):
    """Return what an action found, or what went wrong: a test that cannot be made says so."""
    try:
        return {"error": "", **action(job)}
    except Exception as error:
        return {"error": str(error) or type(error).__name__}


def guard(unit, argv):
    """Have systemd run a command in a while; it does so even if nothing is left of this program."""
    timer = ["--on-active={}".format(GUARD_SECONDS), "--timer-property=AccuracySec=1s"]
    done = run(["systemd-run", "--quiet", "--collect", "--unit=" + unit, *timer, *argv])
    if done.returncode:
        said = done.stderr.strip()
        raise RuntimeError("nothing was tried, because systemd would not clean up after us: {}".format(said))


def release(unit):
    """Take back what `guard` ordered."""
    run(["systemctl", "stop", unit + ".timer"])
