# Installs packages without a daemon being started before it is configured. Arguments: the file that keeps daemons from
# being started, the file that says why it was done once more, the pause before that in seconds, the packages.
set -e
policy=$1 repeated=$2 pause=$3
shift 3

# The mark in it tells the file from one that the administrator laid down.
if [ ! -e "$policy" ] || grep -q ox-deploy "$policy"; then
    printf '#!/bin/sh\n# ox-deploy: no daemon starts before it is configured\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
fi
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# Lets apt wait for another apt, and removes nothing: another database server than the wanted one may run here.
apt="apt-get -qq --no-remove -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120"
apt="$apt -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"

install_packages() {
    dpkg --configure -a && $apt update && { [ $# -eq 0 ] || $apt install -y --no-install-recommends "$@"; }
}

# In the words of apt and dpkg: somebody has a lock, or the mirror is being updated or cannot be reached.
transient='Could not get lock|Unable to (acquire|lock) |is locked by another process|Mirror sync in progress'
transient="$transient|Hash Sum mismatch|File has unexpected size|maybe run apt-get update"
transient="$transient|Temporary failure resolving|(Could not|Unable to) connect to|Connection timed out"

mkdir -p "${repeated%/*}"
rm -f "$repeated"
failed=0
said=$(install_packages "$@" 2>&1) || failed=$?
if [ "$failed" != 0 ] && why=$(printf '%s\n' "$said" | grep -E -m 1 "$transient"); then
    printf '%s\n' "$why" >"$repeated"
    sleep "$pause"
    failed=0
    said=$(install_packages "$@" 2>&1) || failed=$?
    [ "$failed" = 0 ] || said=$(printf '%s\nthis was the second attempt; the first failed with: %s' "$said" "$why")
fi
printf '%s\n' "$said" >&2
exit "$failed"
