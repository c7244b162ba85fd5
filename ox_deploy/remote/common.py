"""What the programs share; its text is put before each of them."""

import base64
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys

STATE_DIRECTORY = "/var/lib/ox-deploy"
# How long a command may take that we start; how long what is told to end may take for that.
RUN_SECONDS, GRACE_SECONDS = 300, 10
# systemd limits these itself: a large database may take hours.
UNIT_JOBS = ("start", "stop", "restart", "reload")


def host_lock():
    """Wait for the work of a run that was given up on the other side but goes on here; returns the lock."""
    os.makedirs(STATE_DIRECTORY, mode=0o700, exist_ok=True)
    lock = open(os.path.join(STATE_DIRECTORY, "lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def only_one(number=None, run_id=None):
    """Take the lock, then stop unless the run that gives the order still has the lease, under this number."""
    lock = host_lock()
    check_lease(number, run_id)
    return lock


def check_lease(number, run_id):
    """Stop if another run has the lease; who gives an order without one may do so while nobody has it."""
    lease = read_lease()
    if run_id is None:
        if lease.get("run") and seconds_left(lease) > 0:
            fail("another run is at work: {}; nothing was changed here; run again when it has ended".format(who(lease)))
    elif (lease.get("run"), lease.get("number")) != (run_id, str(number)):
        taken = "it was taken over by " + who(lease) if lease.get("run") else "it was released"
        fail("this run has lost the lease of the cluster ({}); nothing was changed here; run again".format(taken))


def read_lease():
    """Return what lease.sh wrote: {} if nobody ever had it."""
    text = (read(os.path.join(STATE_DIRECTORY, "lease")) or b"").decode()
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


def seconds_left(lease):
    """Return for how long a lease still lasts, by the time since this host was started."""
    now = float(read("/proc/uptime").split()[0])
    if lease["boot"] != read("/proc/sys/kernel/random/boot_id").decode().strip():
        return int(lease["seconds"]) - now
    return int(lease["until"]) - now


def who(lease):
    """Return who has a lease."""
    return "{doing}, by {user} on {machine} (process {process})".format(**json.loads(lease["info"]))


def end_within(seconds, sentence):
    """Stop with a sentence if this program still runs then, such as on a server that never answers."""

    def give_up(number, frame):
        # What is to be put right at the end may hang, too.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(GRACE_SECONDS)
        fail(sentence)

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)


def arguments():
    """Return the JSON document that the program was given."""
    return json.loads(sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read())


def fail(message):
    """Print one sentence and stop."""
    print(message, file=sys.stderr)
    sys.exit(1)


def started(argv, **options):
    """Start a command in a group that ends with it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, start_new_session=True, **options)


def run(argv, seconds=None, input=None, **options):
    """Run a command and return what came of it; one that hangs is ended, and has failed."""
    if seconds is None and not (argv[0] == "systemctl" and argv[1] in UNIT_JOBS):
        seconds = RUN_SECONDS
    if input is not None:
        options["stdin"] = subprocess.PIPE
    child = started(argv, **options)
    try:
        output, errors = child.communicate(input, timeout=seconds)
    except subprocess.TimeoutExpired:
        end(child)
        return subprocess.CompletedProcess(argv, 124, "", "it has not finished within {} s".format(seconds))
    except BaseException:
        # The next order may come at once.
        os.killpg(child.pid, signal.SIGKILL)
        raise
    return subprocess.CompletedProcess(argv, child.returncode, output, errors)


def end(child):
    """End a command with all that it started, if it ends."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            return child.wait(GRACE_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def run_for(seconds, argv):
    """Run a command that may hang in a dead file system; return None if it takes longer."""
    child = started(argv, stdin=subprocess.DEVNULL)
    try:
        output, errors = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        # Not waited for: what hangs in a FUSE file system dies when that answers.
        child.kill()
        return None
    return subprocess.CompletedProcess(argv, child.returncode, output, errors)


def run_or_fail(argv, **options):
    """Run a command; on failure stop with the last lines of what it said."""
    done = run(argv, **options)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-15:]
        fail("`{}` failed with exit code {}: {}".format(" ".join(argv[:3]), done.returncode, "\n".join(said)))
    return done.stdout


def read(path):
    """Return a file's bytes, or None if there is no such file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def block_lines(name):
    """Return the lines around a part of a file that is ours while the rest belongs to others."""
    return "# BEGIN ox-deploy {}\n".format(name), "# END ox-deploy {}\n".format(name)


def block_in(text, name):
    """Return our block's inner text, or None if the file has none."""
    begin, end = block_lines(name)
    _, found, rest = text.partition(begin)
    inner, ended, _ = rest.partition(end)
    return inner if found and ended else None


def with_block(text, name, content):
    """Return the text with our block replaced, or added at the end."""
    begin, end = block_lines(name)
    block = begin + content + end if content else ""
    inner = block_in(text, name)
    if inner is not None:
        return text.replace(begin + inner + end, block, 1)
    # A mark that lost the other one belongs to nothing.
    text = text.replace(begin, "").replace(end, "")
    if text and not text.endswith("\n"):
        text += "\n"
    return text + block


def fingerprint(secret, salt=None):
    """Return a salted digest of a secret, so that it can be compared without being shown."""
    salt = salt or os.urandom(8).hex()
    return {"salt": salt, "digest": hashlib.sha256((salt + secret).encode()).hexdigest()}


def pending_path(name):
    """Return the file that says: files of this service were written, but it does not use them yet."""
    return os.path.join(STATE_DIRECTORY, name + ".pending")


def unit_states(units):
    """Return `ActiveState` and `UnitFileState` of systemd units by name."""
    if not units:
        return {}
    properties = "--property=Id,LoadState,ActiveState,UnitFileState"
    shown = run(["systemctl", "show", properties, *units]).stdout
    states = {}
    for unit, text in zip(units, shown.strip().split("\n\n")):
        values = dict(line.split("=", 1) for line in text.splitlines())
        states[unit] = {
            "loaded": values.get("LoadState") == "loaded",
            "active": values.get("ActiveState") == "active",
            "enabled": values.get("UnitFileState") in ("enabled", "static", "alias") or starts_by_sysv(unit),
        }
    return states


def starts_by_sysv(unit):
    """Tell whether an init script is linked for the usual runlevel."""
    name = unit.removesuffix(".service")
    try:
        return any(entry.startswith("S") and entry[3:] == name for entry in os.listdir("/etc/rc3.d"))
    except FileNotFoundError:
        return False


def as_base64(data):
    """Return bytes as text for JSON."""
    return None if data is None else base64.b64encode(data).decode()
