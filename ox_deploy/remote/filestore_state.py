"""Print whether the filestore is mounted here, by which line of fstab, and what lies under the mount."""

# How long the file system at the mount point is waited for.
SECONDS = 3


def filestore_state(wanted):
    """Return all of it, with the state of the files that belong to the mount."""
    path = wanted["path"]
    return {
        "service": service_state(wanted["service"]),
        "foreign_line": foreign_line(path),
        "mount": mount_of(path),
        "answers": answers(path),
        "bare": bare_state(path),
    }


def foreign_line(path):
    """Return a line of fstab for this mount point that is not ours."""
    text = (read("/etc/fstab") or b"").decode(errors="replace")
    ours = block_in(text, "filestore") or ""
    for line in text.replace(ours, "").splitlines():
        fields = line.split()
        if len(fields) > 2 and not line.lstrip().startswith("#") and fields[1].rstrip("/") == path:
            return line
    return None


def mount_of(path):
    """Return source and type of what is mounted at a path; read from the kernel's table, which cannot hang."""
    found = None
    for line in read("/proc/self/mounts").decode().splitlines():
        source, target, kind = line.split()[:3]
        if target == path:
            found = {"source": source, "type": kind}
    return found


def answers(path):
    """Tell whether the file system at a path answers within some seconds; a dead NFS server would hang us."""
    done = run_for(SECONDS, ["stat", "-t", path])
    return done is not None and done.returncode == 0


def bare_state(path):
    """Return what the directory under the mount is like, seen from a name space where it is not mounted."""
    look = 'while umount -l "$1" 2>/dev/null; do :; done; stat -c "%a %U" "$1"; lsattr -d "$1"; ls -A "$1" | head -n 3'
    done = run(["unshare", "--mount", "sh", "-c", look, "look", path])
    lines = done.stdout.splitlines()
    if not lines:
        return None
    mode, owner = lines[0].split()
    attributes = lines[1].split()[0] if len(lines) > 1 and lines[1].endswith(path) else None
    entries = lines[2:] if attributes is not None else lines[1:]
    return {
        "protected": mode == "0" and owner == "root" and (attributes is None or "i" in attributes),
        "entries": entries,
    }
