"""Build every package of a source tree. Runs in the build image, with the standard library only.

packages/NAME/ holds DEBIAN/ and the root tree beside it. packages.list names the packages that hold no file.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

EPOCH = 1264982400  # 1 February 2010: the same input gives the same bytes
WEBAPP_OWNER = "open-xchange-server"
EXECUTABLE = ("opt/open-xchange/sbin", "etc/init.d", "DEBIAN")
DATA = {"control", "conffiles", "triggers"}
EMPTY = """Package: {name}
Version: @VERSION@
Architecture: all
Maintainer: Lab <lab@example.com>
Section: mail
Priority: optional
{depends}Description: Open-Xchange stand-in: {name}
 Holds no file. It exists so that the vendor's list of packages can be installed.
"""


def main(source: Path, webapp: Path, version: str, target: Path) -> None:
    target.mkdir(parents=True)
    work = target.with_name("work")
    for control in sorted((source / "packages").glob("*/DEBIAN/control")):
        folder = control.parent.parent
        shutil.copytree(folder, work / folder.name, symlinks=True)
    for line in (source / "packages.list").read_text().splitlines():
        add_empty(work, line.partition("#")[0])
    if any(webapp.iterdir()):
        shutil.copytree(webapp, work / WEBAPP_OWNER, symlinks=True, dirs_exist_ok=True)
    refuse_shared_files(work)
    for folder in sorted(work.iterdir()):
        build(folder, version, target)


def add_empty(work: Path, line: str) -> None:
    """A line is NAME, or NAME: DEPENDENCIES. A package with a tree of its own needs none."""
    name, _, depends = (part.strip() for part in line.partition(":"))
    if not name or (work / name).exists():
        return
    control = work / name / "DEBIAN/control"
    control.parent.mkdir(parents=True)
    control.write_text(EMPTY.format(name=name, depends=f"Depends: {depends}\n" if depends else ""))


def refuse_shared_files(work: Path) -> None:
    """Two packages with one path cannot be installed together: dpkg would say so only on the nodes."""
    owner: dict[Path, str] = {}
    for package in sorted(work.iterdir()):
        for path in package.rglob("*"):
            relative = path.relative_to(package)
            if path.is_dir() or relative.parts[0] == "DEBIAN":
                continue
            if relative in owner:
                sys.exit(f"/{relative} is in two packages: {owner[relative]} and {package.name}")
            owner[relative] = package.name


def build(folder: Path, version: str, target: Path) -> None:
    control = folder / "DEBIAN/control"
    control.write_text(control.read_text().replace("@VERSION@", version))
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(mode(path, path.relative_to(folder)))
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(folder), str(target)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def mode(path: Path, relative: Path) -> int:
    """Modes come from the place, not from the checkout: git and umask would change them."""
    if path.is_dir():
        return 0o755
    if relative.name in DATA:
        return 0o644
    return 0o755 if str(relative.parent) in EXECUTABLE or os.access(path, os.X_OK) else 0o644


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
