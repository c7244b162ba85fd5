# Print what a host is like before anything of ours is on it; needs nothing but a Debian shell.
# Arguments: user name, uid, gid, how many seconds to wait for an earlier run ("" for not at all), then package names.
# Each program that it starts takes a millisecond or two, on every host.
user=$1 uid=$2 gid=$3 wait=$4
shift 4
line() { printf '%s %s\n' "$1" "$2"; }
# A run that was given up may still be at work here.
lock=/var/lib/ox-deploy/lock
[ -z "$wait" ] || [ ! -e $lock ] || flock --shared --wait "$wait" $lock true || line busy yes
[ ! -e /etc/os-release ] || . /etc/os-release
line system "$ID $VERSION_ID"
read -r init </proc/1/comm
line init "$init"
line time "$(date +%s.%N)"
places=
for place in / /var /var/lib/mysql; do
  [ ! -d $place ] || places="$places $place"
done
# Size of a block, free ones, which file system, and where.
stat -f -c '%S %a %n' $places | {
  set -- $(stat -c %d $places)
  while read -r size free place; do
    line disk "$size $free $1 $place"
    shift
  done
}
command -v python3 >/dev/null && line python yes
[ -e /usr/sbin/policy-rc.d ] && grep -q ox-deploy /usr/sbin/policy-rc.d && line start_block yes
for address in $(hostname -I); do line address "$address"; done
# Which of the two an entry was found by is told by what it says. Where another one has the same id, that comes last.
entries() {
  getent "$1" "$3" "$4" | while IFS=: read -r name password id rest; do
    [ "$name" != "$3" ] || line "$2_by_name" "$name:$password:$id:$rest"
    [ "$id" != "$4" ] || line "$2_by_id" "$name:$password:$id:$rest"
  done
}
entries passwd user "$user" "$uid"
entries group group "$user" "$gid"
# What an interrupted installation left behind, and `dpkg --configure -a` mends: unpacked, half configured, triggers.
set -- dpkg "$@"
for name; do
  shift
  set -- "$@" -e "package $name "
done
dpkg-query -W -f '${db:Status-Abbrev} package ${Package} ${db:Status-Status} ${Version} ${Architecture}\n' 2>/dev/null |
  grep -e '^[a-z][UFWt]' "$@" | while read -r short word name state version architecture; do
    line package "$name $state $version"
    [ "$name" != dpkg ] || line architecture "$architecture"
    case $short in
    [a-z][UFWt]*) line broken_packages yes ;;
    esac
  done
exit 0
