"""Put back the files of daemons that still run with the old ones, so that they come up with these, too."""


def daemons_undo(job):
    """Do it, and stop with the sentence that says why."""
    if restore_configuration():
        settle(job)
    fail(job["sentence"])
