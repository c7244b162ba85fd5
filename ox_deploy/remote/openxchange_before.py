"""Keep the configuration that the daemons run with until they run with a new one, as service_configure.py does."""

BASE = "/opt/open-xchange/etc"


def note_path():
    """Return the file in which it is kept."""
    return os.path.join(STATE_DIRECTORY, "open-xchange.before")


def keep_configuration():
    """Note all files; what a run that died noted is older, and stays."""
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(BASE) for name in names]
    remember(note_path(), [{"path": path} for path in paths])


def restore_configuration():
    """Put the files back as they were noted; tell whether there are any."""
    noted = read(note_path())
    if noted is not None:
        restore(json.loads(noted))
    return noted is not None


def forget_configuration():
    """The daemons run with the files that are there now."""
    remove(note_path())
