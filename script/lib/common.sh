# shellcheck shell=bash
# What script/demo and script/test share. Source it from bash with `set -euo pipefail`.

ORION_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# need_packages NAME...: install the Debian packages whose programs are missing; not as root, say which and end.
# Whoever has Docker from elsewhere keeps it.
need_packages() {
    local missing=() name
    for name in "$@"; do
        _have "$name" || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    if ! command -v apt-get >/dev/null || ((EUID != 0)); then
        fail "This needs what these Debian packages hold. Install them, or run this again as root:
  apt-get install --no-install-recommends ${missing[*]}"
    fi
    say "installing ${missing[*]}"
    local log
    log=$(mktemp)
    if ! _apt_install "${missing[@]}" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "apt-get could not install ${missing[*]}; all of the log is in $log"
    fi
    rm -f "$log"
}

_have() {
    case $1 in
        docker.io) command -v dockerd >/dev/null || _engine answers >/dev/null 2>&1 ;;
        iptables) command -v iptables >/dev/null || _engine answers >/dev/null 2>&1 ;;
        iproute2) command -v ip >/dev/null ;;
        nftables) command -v nft >/dev/null || [[ -x /usr/sbin/nft ]] ;;
        busybox-static) command -v busybox >/dev/null && ! ldd "$(command -v busybox)" >/dev/null 2>&1 ;;
        nginx-light) command -v nginx >/dev/null || [[ -x /usr/sbin/nginx ]] ;;
        etcd-server) command -v etcd >/dev/null ;;
        bind9-dnsutils) command -v dig >/dev/null ;;
        dnsmasq-base) command -v dnsmasq >/dev/null || [[ -x /usr/sbin/dnsmasq ]] ;;
        e2fsprogs) command -v mkfs.ext4 >/dev/null || [[ -x /usr/sbin/mkfs.ext4 ]] ;;
        xfsprogs) command -v mkfs.xfs >/dev/null || [[ -x /usr/sbin/mkfs.xfs ]] ;;
        python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

_apt_install() (
    export DEBIAN_FRONTEND=noninteractive
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        # Of what is installed only Docker may start by itself: nobody asked for a web server on port 80.
        trap 'rm -f "$policy"' EXIT
        printf '%s\n' '#!/bin/sh' 'case "$1" in docker*|containerd*) exit 0 ;; *) exit 101 ;; esac' >"$policy"
        chmod +x "$policy"
    fi
    compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt-get update
    apt-get install --yes --no-install-recommends "$@" && return 0
    apt-get update # the lists may be older than the packages
    apt-get install --yes --no-install-recommends "$@"
)

# make_venv DIR [GROUP]: a virtual environment with this project in it, and a dependency group of it too. Quick when
# it is there and pyproject.toml has not changed.
make_venv() {
    local dir=$1 group=${2:-} python=${PYTHON:-python3} stamp log wanted
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Orion needs Python 3.11 or later; $python is $("$python" --version 2>&1). Set PYTHON to a later one."
    stamp=$dir/orion-stamp log=$dir/install.log
    wanted="$group $(sha256sum <"$ORION_ROOT/pyproject.toml")"
    [[ -x $dir/bin/orion && $(cat "$stamp" 2>/dev/null) == "$wanted" ]] && return 0
    say "making the virtual environment $dir"
    [[ -x $dir/bin/pip ]] || "$python" -m venv "$dir"
    if ! _install_project "$dir" "$group" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "the project could not be installed; all of the log is in $log"
    fi
    printf '%s' "$wanted" >"$stamp"
}

_install_project() {
    "$1/bin/pip" install --disable-pip-version-check --editable "$ORION_ROOT" || return 1
    [[ -z $2 ]] && return 0
    # pip knows dependency groups only from 25.1 on, and Debian's is older.
    "$1/bin/python" - "$ORION_ROOT/pyproject.toml" "$2" >"$1/group.txt" <<'PYTHON' || return 1
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    print(*tomllib.load(file)["dependency-groups"][sys.argv[2]], sep="\n")
PYTHON
    "$1/bin/pip" install --disable-pip-version-check --requirement "$1/group.txt"
}

# start_engine: DOCKER_HOST becomes that of the engine that answers, else of a private one. stop_engine: no more
# needed; a private one ends with its last user.
start_engine() {
    DOCKER_HOST=$(_engine start $$) || exit 1
    export DOCKER_HOST
}

stop_engine() { _engine stop $$; }

_engine() { PYTHONPATH=$ORION_ROOT/tests python3 -m support.engine "$@"; }
