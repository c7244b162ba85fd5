"""Start a program of a seeding as a systemd unit of its own, which goes on whatever becomes of us."""

UNIT = "ox-seed"
RUN_DIRECTORY = "/run/ox-deploy"


def seed_start(job):
    """Do it; the program's text holds passwords, so it goes by a file that the unit removes as it starts."""
    if run(["systemctl", "is-active", "--quiet", UNIT]).returncode == 0:
        fail("a seeding is under way on this host; wait until it ends (`systemctl status {}`)".format(UNIT))
    os.makedirs(RUN_DIRECTORY, mode=0o700, exist_ok=True)
    os.chmod(RUN_DIRECTORY, 0o700)
    path = os.path.join(RUN_DIRECTORY, "seed.py")
    for name in (path, os.path.join(RUN_DIRECTORY, "seed.json")):
        if os.path.exists(name):
            os.unlink(name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("import os\nos.unlink({!r})\n".format(path) + job["program"])
    run(["systemctl", "reset-failed", UNIT])
    # For the files with passwords; systemd removes it when the unit is gone.
    folder = ["--property=RuntimeDirectory=" + UNIT, "--property=RuntimeDirectoryMode=0700"]
    run_or_fail(["systemd-run", "--quiet", "--collect", "--unit=" + UNIT, *folder, "python3", path])
