#!/bin/sh
# Compiles the groupware daemon and lays out what goes over the root of the package open-xchange-server: build.sh OUTDIR
# build-depends names the Debian packages this needs. There is no JDK among them: ecj runs on the JRE.
set -eu

out=$(realpath -m "$1")
here=$(dirname "$(realpath "$0")")
lib=$out/opt/open-xchange/lib
classes=$(mktemp -d)
trap 'rm -rf "$classes"' EXIT

mkdir -p "$lib"
classpath=$(printf '%s:' /usr/share/java/tomcat10-*.jar)
find "$here/src" -name '*.java' -print0 | xargs -0 ecj -17 -proc:none -nowarn -g -cp "$classpath" -d "$classes"

# A jar without the tool `jar`: an archive with fixed times, so that the same sources give the same bytes.
python3 - "$classes" "$lib/groupware.jar" <<'PYTHON'
import sys
import zipfile
from pathlib import Path

classes, jar = Path(sys.argv[1]), sys.argv[2]
with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
    for path in sorted(classes.rglob("*.class")):
        entry = zipfile.ZipInfo(str(path.relative_to(classes)), (2010, 2, 1, 0, 0, 0))
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
PYTHON
chmod 644 "$lib/groupware.jar"

install -m 755 "$here/../cachemesh/cachemesh.py" "$lib/cachemesh.py"
