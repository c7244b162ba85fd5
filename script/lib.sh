# Shared by the scripts in this folder; read with `.` from the project's top.

DOCKERD_PID=.lab/dockerd.pid

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    say "$*"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "needs root or sudo to run: $*"
    fi
}

install_packages() {
    command -v apt-get >/dev/null || die "please install by hand: $* (this is not a Debian or Ubuntu machine)"
    quietly as_root apt-get update -qq
    quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# Run a command; show what it printed only if it failed, and stop then.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        die "this failed: $*"
    fi
    rm -f "$log"
}

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            command -v "$name"
            return
        fi
    done
    if ! command -v python3 >/dev/null; then
        say "installing Python"
        install_packages python3 python3-venv
        find_python
        return
    fi
    die "needs Python 3.11 or later; $(python3 --version 2>&1) is installed"
}

docker_answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

# Install and start the Docker engine, unless one answers already.
ensure_docker() {
    docker_answers && return
    if [ -n "${DOCKER_HOST:-}" ]; then
        die "the Docker engine at DOCKER_HOST does not answer"
    fi
    if ! command -v dockerd >/dev/null; then
        say "installing the Docker engine"
        # The client is a package of its own since Debian 13, and pyinfra needs it.
        if apt-cache show docker-cli >/dev/null 2>&1; then
            install_packages docker.io docker-cli
        else
            install_packages docker.io
        fi
    fi
    command -v docker >/dev/null || install_packages docker-cli
    start_docker
    docker_answers && return
    as_root docker info >/dev/null 2>&1 || die "the Docker engine does not answer: $(as_root tail -n 3 .lab/dockerd.log 2>/dev/null)"
    die "$(id -un) may not use the Docker engine: run this as root, or 'sudo adduser $(id -un) docker' and log in again"
}

start_docker() {
    say "starting the Docker engine"
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker
    else
        start_docker_alone
    fi
    local n
    for n in $(seq 150); do
        if as_root docker info >/dev/null 2>&1; then return; fi
        sleep 0.2
    done
}

# Without systemd: detached from this terminal. Its process id is kept, so that `stop_docker` ends this one and no other.
start_docker_alone() {
    install -d -m 700 .lab
    as_root sh -c 'umask 077; setsid dockerd >"$1" 2>&1 </dev/null & echo $! >"$2"' sh .lab/dockerd.log "$DOCKERD_PID"
}

# Stop the engine if start_docker_alone started it, which `ps` confirms, and nobody has a container in it.
stop_docker() {
    [ -e "$DOCKERD_PID" ] || return 0
    if docker_answers && [ -n "$(docker ps --quiet)" ]; then
        say "the Docker engine goes on, since containers run in it"
        return 0
    fi
    local pid
    pid=$(as_root cat "$DOCKERD_PID")
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
        say "stopping the Docker engine"
        as_root kill "$pid"
        while [ -d "/proc/$pid" ]; do sleep 0.2; done
    fi
    as_root rm -f "$DOCKERD_PID"
}

# The lab's base image is pulled, or else built with mmdebstrap, which is installed only then.
ensure_base_image() {
    docker image inspect oxlab-base:bookworm >/dev/null 2>&1 && return
    command -v mmdebstrap >/dev/null && return
    docker image inspect debian:12 >/dev/null 2>&1 && return
    docker pull --quiet debian:12 >/dev/null 2>&1 && return
    say "no image registry can be reached: installing mmdebstrap"
    install_packages mmdebstrap debian-archive-keyring gpg uidmap
}

# The browser of the tests. Debian's, since what Playwright would download itself is larger.
ensure_chromium() {
    command -v chromium >/dev/null && return
    say "installing Chromium"
    install_packages chromium fonts-dejavu-core
    chromium --version >/dev/null 2>&1 || die "the package chromium brought no browser that starts; install one as 'chromium'"
}
