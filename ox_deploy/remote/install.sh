# Installs packages without a daemon being started before it is configured. Arguments: the file that keeps daemons from
# being started, the file that says why it was done once more, the pause before that in seconds, the packages.
set -e
umask 022
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

# In the words of apt and dpkg: somebody has a lock; the mirror is being updated or cannot be reached.
locked='Could not get lock|Unable to (acquire|lock) |(is|was) locked by another process'
transient='Mirror sync in progress|Hash Sum mismatch|File has unexpected size|maybe run apt-get update'
transient="$transient|Temporary failure resolving|(Could not|Unable to) connect to|Connection timed out"

attempt() {
    failed=0
    said=$(install_packages "$@" 2>&1) || failed=$?
}
failed_with() { [ "$failed" != 0 ] && why=$(printf '%s\n' "$said" | grep -E -m 1 "$1"); }

mkdir -p "${repeated%/*}"
rm -f "$repeated"
attempt "$@"
# apt waits for dpkg's lock itself, but not for that of its lists, and dpkg for none: two minutes.
waits=60
while failed_with "$locked" && [ $waits -gt 0 ]; do
    printf '%s\n' "$why" >"$repeated"
    waits=$((waits - 1))
    sleep 2
    attempt "$@"
done
if failed_with "$locked"; then
    said=$(printf '%s\nwaited two minutes for it; run again when it has ended' "$said")
fi
if failed_with "$transient"; then
    printf '%s\n' "$why" >"$repeated"
    sleep "$pause"
    attempt "$@"
    [ "$failed" = 0 ] || said=$(printf '%s\nthis was the second attempt; the first failed with: %s' "$said" "$why")
fi
printf '%s\n' "$said" >&2
exit "$failed"
