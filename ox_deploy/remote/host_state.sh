# Print what a host is like before anything of ours is on it; needs nothing but a Debian shell.
# Arguments: user name, uid, gid, how many seconds to wait for an earlier run, then package names.
user=$1 uid=$2 gid=$3 wait=$4
shift 4
line() { printf '%s %s\n' "$1" "$2"; }
# A run that was given up may still be at work here.
lock=/var/lib/ox-deploy/lock
[ ! -e $lock ] || flock --shared --wait "$wait" $lock true || line busy yes
. /etc/os-release
line system "$ID $VERSION_ID"
line init "$(cat /proc/1/comm)"
line architecture "$(dpkg --print-architecture)"
line time "$(date +%s.%N)"
# Size of a block, free ones, which file system, and where.
for place in / /var /var/lib/mysql; do
  [ ! -d $place ] || line disk "$(stat -f -c '%S %a' $place) $(stat -c %d $place) $place"
done
command -v python3 >/dev/null && line python yes
[ -e /usr/sbin/policy-rc.d ] && grep -q ox-deploy /usr/sbin/policy-rc.d && line start_block yes
for address in $(hostname -I); do line address "$address"; done
line user_by_name "$(getent passwd "$user")"
line user_by_id "$(getent passwd "$uid")"
line group_by_name "$(getent group "$user")"
line group_by_id "$(getent group "$gid")"
[ $# -eq 0 ] || dpkg-query -W -f 'package ${Package} ${db:Status-Status} ${Version}\n' "$@" 2>/dev/null
# What an interrupted installation left behind, and `dpkg --configure -a` mends: unpacked, half configured, triggers.
case "$(dpkg-query -W -f '${db:Status-Abbrev} ' 2>/dev/null)" in
*[a-z][UFWt]*) line broken_packages yes ;;
esac
exit 0
