"""What the programs of a seeding share; its text is put before each of them.

They run as a systemd unit of their own, so that a control machine that goes away stops nothing.
"""

import contextlib
import threading
import time

STATE_FILE = "/run/ox-deploy/seed.json"
# Is on the slave from the first byte to the end: what is there meanwhile is not the master's data.
MARK = "/var/lib/ox-deploy/seeding"
# A network that was cut for a while recovers; after so long without a byte nothing will come any more.
STALL_SECONDS = 300


def fail(message):
    """Give up with one sentence (instead of `common`'s: a unit has no standard error that somebody reads)."""
    raise RuntimeError(message)


class Progress:
    """What those who wait are told: written several times a second by a thread of its own."""

    def __init__(self):
        self.state = {"stage": "begins", "bytes": 0, "error": "", "done": False, "summary": ""}
        self.children = []
        self.stalled = False
        self._moved = time.monotonic()
        self._over = threading.Event()
        self._writes = threading.Lock()
        self._thread = threading.Thread(target=self._report, daemon=True)
        self._thread.start()

    def stage(self, name):
        """Begin another part of the work."""
        self.state["stage"] = name
        self.write()

    def count(self, number):
        """Note that bytes came."""
        self.state["bytes"] += number
        self._moved = time.monotonic()

    @contextlib.contextmanager
    def moving(self, *children):
        """While these processes move bytes: kill them when nothing moves any more, and in the end in any case."""
        self._moved = time.monotonic()
        self.children = children
        try:
            yield
        finally:
            self.children = []
            for child in children:
                child.kill()
                child.wait()

    def write(self):
        """Write the state in one step; the thread and the work may want to at the same time."""
        os.makedirs(os.path.dirname(STATE_FILE), mode=0o700, exist_ok=True)
        with self._writes:
            with open(STATE_FILE + ".new", "w") as file:
                json.dump(self.state, file)
            os.rename(STATE_FILE + ".new", STATE_FILE)

    def end(self, **last):
        """Write the last state."""
        self._over.set()
        self._thread.join()
        self.state.update(last)
        self.write()

    def _report(self):
        while not self._over.wait(0.25):
            self.write()
            if self.children and time.monotonic() - self._moved > STALL_SECONDS:
                self.stalled = True
                for child in self.children:
                    child.kill()


def work(action, job):
    """Do the work of a unit and write down what came of it."""
    progress = Progress()
    try:
        # systemd removes it when the unit is gone, however that came.
        summary = action(job, progress, os.environ["RUNTIME_DIRECTORY"])
    except Exception as error:
        progress.end(error=str(error) or type(error).__name__)
        sys.exit(1)
    progress.end(stage="done", done=True, summary=summary)


def private(folder, name, text):
    """Write a file that only root can read, and return its path."""
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return path


def pour(source, sink, progress):
    """Move all bytes of a pipe into another one without looking at them; count them."""
    while True:
        number = os.splice(source.fileno(), sink.fileno(), 1 << 20)
        if not number:
            return
        progress.count(number)


def start(argv, folder, **pipes):
    """Start a process; what it says goes to a file of its name."""
    with open(os.path.join(folder, argv[0] + ".log"), "w") as log:
        child = subprocess.Popen(argv, stderr=log, **pipes)
    for pipe in filter(None, (child.stdin, child.stdout)):
        enlarge(pipe.fileno())
    return child


def enlarge(pipe):
    """Let a pipe hold more, so that those at its ends wait for each other less; the system may not want to."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def no_data_came():
    """Say why all was given up."""
    text = "no data arrived for {} seconds; check the network and both servers, and seed again"
    return text.format(STALL_SECONDS)


def said_by(name, folder):
    """Return the last lines in which a process said what went wrong, without the data that it may have shown."""
    with open(os.path.join(folder, name + ".log"), errors="replace") as log:
        lines = [line.strip()[:300] for line in log if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return " / ".join((errors or lines)[-2:]) or "it said nothing"
