"""What stands against the names in our part of /etc/hosts."""

from __future__ import annotations

import os
import re
from glob import glob

from ox_deploy.remote.common.files import read, with_block
from ox_deploy.remote.common.types import Document

HOSTS = "/etc/hosts"
CLOUD_INIT, DISABLED = "/usr/bin/cloud-init", "/etc/cloud/cloud-init.disabled"
# In the order in which cloud-init reads them; the last one that says it counts.
CLOUD_FILES = (
    "/etc/cloud/cloud.cfg",
    "/etc/cloud/cloud.cfg.d/*.cfg",
    "/var/lib/cloud/instance/vendor-cloud-config.txt",
    "/var/lib/cloud/instance/vendor2-cloud-config.txt",
    "/var/lib/cloud/instance/cloud-config.txt",
)
SETTING = r"""(?mi)^manage_etc_hosts:[ \t]*["']?(\w+)"""


def other_addresses(names: dict[str, str]) -> list[Document]:
    """Return the lines outside our block that give one of the names another address than the one it should have."""
    text = with_block(text_of(HOSTS), "cluster", "")
    found = []
    for line in text.splitlines():
        address, *others = line.partition("#")[0].split() or [""]
        # What it has besides in IPv6 is not used.
        known = [name for name in map(str.lower, others) if names.get(name, address) != address]
        found += [{"name": name, "address": address, "wanted": names[name]} for name in known if ":" not in address]
    return found


def rewritten_by() -> str | None:
    """Return the file that has cloud-init write /etc/hosts anew at each boot, or None."""
    if not os.path.exists(CLOUD_INIT) or os.path.exists(DISABLED):
        return None
    files = [path for pattern in CLOUD_FILES for path in sorted(glob(pattern))]
    said = [(path, value) for path in files for value in re.findall(SETTING, text_of(path))]
    # `localhost` is about the host's own name only.
    return said[-1][0] if said and said[-1][1].lower() in ("true", "yes", "on", "template") else None


def text_of(path: str) -> str:
    """Return a file's text, whatever its encoding is."""
    return (read(path) or b"").decode(errors="replace")
