#!/bin/sh
# A mistyped --limit is a success: pyinfra 3.10.0 warns, connects to nobody, runs nothing, and ends with 0.
# One would guess that a run which was told to work on hosts that do not exist fails. A second pattern that does match
# hides the first one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyinfra==3.10.0
echo 'web = ["@local"]' >inventory.py
echo 'from pyinfra.operations import server; server.shell(name="Work", commands=["touch done"])' >deploy.py

venv/bin/pyinfra --version
code=0
venv/bin/pyinfra -y inventory.py deploy.py --limit wbe >output 2>&1 || code=$?
grep -i "limit" output || true
echo "exit code with a limit that names nothing: $code; the operation ran: $([ -e done ] && echo yes || echo no)"
[ "$code" = 0 ] && [ ! -e done ]
