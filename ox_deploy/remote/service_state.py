"""Print the state of a service's files and units."""

import grp
import pwd
import stat


def name_of(lookup, number):
    """Return a user's or group's name, or its number if it has none."""
    try:
        return lookup(number)[0]
    except KeyError:
        return str(number)


def state_of(path, block):
    """Return what is at a path; for a file we share, the digest is that of our block."""
    try:
        entry = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    state = {
        "mode": "{:04o}".format(stat.S_IMODE(entry.st_mode)),
        "owner": name_of(pwd.getpwuid, entry.st_uid),
        "group": name_of(grp.getgrgid, entry.st_gid),
        "target": os.readlink(path) if stat.S_ISLNK(entry.st_mode) else None,
        "digest": None,
    }
    if stat.S_ISREG(entry.st_mode):
        content = read(path)
        if block:
            content = block_in(content.decode(errors="surrogateescape"), block)
            content = None if content is None else content.encode(errors="surrogateescape")
        state["digest"] = None if content is None else hashlib.sha256(content).hexdigest()
    return state


def service_state(wanted):
    """Return files, units and the pending mark of one service."""
    return {
        "files": {path: state_of(path, block) for path, block in wanted["files"].items()},
        "units": unit_states(wanted["units"]),
        "pending": os.path.exists(pending_path(wanted["name"])),
    }
