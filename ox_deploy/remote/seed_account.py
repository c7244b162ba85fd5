"""Make or drop the account at the master with which a slave is seeded, before and after the seeding.

Never in the binary log: no slave has it.
"""

# After how many hours the account goes away, whatever became of the seeding.
GUARD_HOURS = 24


def seed_account(job):
    """Run the statements; as long as the account is there, systemd has the order to drop it."""
    if job["stop"]:
        run(["systemctl", "stop", "ox-seed"])
    timer = job["timer"]
    run(["systemctl", "stop", timer + ".timer"])
    if job["guarded"]:
        after = ["--on-active={}h".format(GUARD_HOURS)]
        run_or_fail(["systemd-run", "--quiet", "--collect", "--unit=" + timer, *after, *client(job)])
    mysql_run({"statements": job["statements"], "replicate": False, "option_file": job["option_file"]})


def client(job):
    """Return the command that drops it without this program."""
    options = ["--defaults-file=" + job["option_file"]] if job["option_file"] else ["--no-defaults", "--user=root"]
    statement = "SET sql_log_bin = 0; DROP USER IF EXISTS '{}'@'{}'".format(job["user"], job["host"])
    return ["mariadb", *options, "--socket=" + SOCKET, "--execute=" + statement]
