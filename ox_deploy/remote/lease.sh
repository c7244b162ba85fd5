# Take, renew, release or break the lease of the cluster on this host; needs nothing but a Debian shell.
# Arguments: action, run; for `take` also how many seconds it lasts, how many to wait for the program of an earlier run,
# who takes it, and which run is known to be dead. Time is that since this host was started: clocks of hosts differ, and jump.
set -u
action=$1 run=$2
folder=/var/lib/ox-deploy
umask 077
[ -d $folder ] || mkdir -p $folder
exec 8>>$folder/lease.lock
flock 8
# Read by the shell itself: each program that it started would take a millisecond or two, on every host.
read -r now rest </proc/uptime
now=${now%%.*}
read -r this_boot </proc/sys/kernel/random/boot_id
number=0 holder= boot= taken= seconds= until= info=
if [ -e $folder/lease ]; then
    while read -r key rest; do
        case $key in
        number) number=$rest ;;
        run) holder=$rest ;;
        boot) boot=$rest ;;
        taken) taken=$rest ;;
        seconds) seconds=$rest ;;
        until) until=$rest ;;
        info) info=$rest ;;
        esac
    done <$folder/lease
fi
left=0
if [ -n "$holder" ]; then
    left=$((until - now))
    # This host was started anew: it lasts as long as if it had been renewed then.
    [ "$boot" = "$this_boot" ] || left=$((seconds - now))
fi
write() {
    {
        echo "number $number"
        [ -z "$holder" ] || printf '%s\n' "run $holder" "boot $this_boot" "taken $taken" "seconds $seconds" \
            "until $((now + seconds))" "info $info"
    } >$folder/lease.new && sync $folder/lease.new && mv $folder/lease.new $folder/lease && sync $folder
}
case $action in
take)
    if [ -n "$holder" ] && [ "$holder" != "$run" ] && [ "$holder" != "$6" ] && [ $left -gt 0 ]; then
        echo "lease held $left $((now - taken)) $info"
        exit 3
    fi
    if [ "$holder" != "$run" ]; then
        [ -z "$holder" ] || echo "lease over $info"
        number=$((number + 1)) holder=$run taken=$now
    fi
    seconds=$3 info=$5
    write || exit 1
    echo "lease taken $number"
    exec 8>&-
    [ ! -e $folder/lock ] || flock --shared --wait "$4" $folder/lock true || echo "busy yes"
    ;;
renew)
    if [ "$holder" != "$run" ]; then
        echo "lease lost $info"
        exit 0
    fi
    write
    ;;
release)
    [ "$holder" = "$run" ] || exit 0
    holder=
    write
    ;;
break)
    # Orders of who had it are older than this number from now on.
    [ -z "$holder" ] || echo "lease held $left $((now - taken)) $info"
    number=$((number + 1)) holder=
    write
    ;;
check)
    # $3 is the number with which the run took it.
    if [ "$holder" != "$run" ] || [ "$number" != "$3" ]; then
        echo "this run has lost the lease of the cluster; nothing was changed here; run again" >&2
        exit 1
    fi
    ;;
esac
