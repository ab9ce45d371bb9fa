# Shared by scripts/demo and scripts/test: sourced, never run.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }
fail() { say "${0##*/}: $*"; exit 1; }

# Where cargo puts the program.
otodoke() { printf '%s/debug/otodoke' "${CARGO_TARGET_DIR:-target}"; }

# Cargo's output with its several hundred lines a crate as a count; errors stay as they are.
compile() {
    local line count=0
    "$@" 2>&1 | while IFS= read -r line; do
        case $line in
            *' Compiling '* | *' Checking '*)
                count=$((count + 1))
                [ $((count % 25)) -ne 0 ] || say "  … $count crates"
                ;;
            *' Downloading '* | *' Downloaded '* | *' Locking '* | *' Adding '*) ;;
            *) say "$line" ;;
        esac
    done
}

need_cargo() {
    command -v cargo >/dev/null || fail "no cargo here: install Rust from https://rustup.rs first"
}

# Makes sure that private servers can be started, unless addresses of others are given.
need_services() {
    [ -z "${DATABASE_URL:-}" ] || [ -z "${AMQP_URL:-}" ] || return 0
    local packages=()
    has_postgres || packages+=(postgresql)
    has_rabbitmq || packages+=(rabbitmq-server)
    [ ${#packages[@]} -eq 0 ] || install_packages "${packages[@]}"
}

# Makes sure that there is a browser for the console's tests.
need_browser() {
    command -v "${CHROMIUM:-chromium}" >/dev/null || install_packages chromium fonts-noto-cjk
}

has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null; }
has_rabbitmq() { [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || command -v rabbitmq-server >/dev/null; }

# Only the programs are wanted: neither package may start a server or make a cluster.
install_packages() {
    local instead="install $*, or set DATABASE_URL and AMQP_URL to servers that run elsewhere"
    command -v apt-get >/dev/null || fail "this is no Debian: $instead"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "neither root nor sudo: $instead"
        as_root=(sudo)
    fi
    say "Installing the packages $* (apt-get${as_root:+, with sudo}; no system-wide server is started)."
    # In a shell of its own, so that its clean-up runs whatever happens.
    "${as_root[@]}" bash -s -- "$@" >&2 <<'ROOT' || fail "the packages could not be installed: $instead"
set -euo pipefail
policy=/usr/sbin/policy-rc.d
clusters=/etc/postgresql-common/createcluster.d
made=()
clean_up() {
    [ ${#made[@]} -eq 0 ] || rm -f -- "${made[@]}"
    rmdir --ignore-fail-on-non-empty -- "$clusters" 2>/dev/null || true
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

if [ ! -e "$policy" ]; then
    made+=("$policy")
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
# A file beside createcluster.conf, which is the package's own.
mkdir -p "$clusters"
made+=("$clusters/otodoke-install.conf")
printf 'create_main_cluster = false\n' >"$clusters/otodoke-install.conf"

export DEBIAN_FRONTEND=noninteractive
# This very script comes in by the standard input: nobody else may read from it.
quietly() { "$@" </dev/null >"$log" 2>&1 || { tail -n 20 "$log"; return 1; }; }
log=$(mktemp)
made+=("$log")
quietly apt-get update
quietly apt-get install -y --no-install-recommends "$@"
# Nor at the next boot.
if [ -d /run/systemd/system ]; then
    for package in "$@"; do systemctl disable --quiet "$package" || true; done
fi
ROOT
}

# 75 → 1 min 15 s
duration() {
    if [ "$1" -lt 60 ]; then printf '%d s' "$1"; else printf '%d min %d s' $(($1 / 60)) $(($1 % 60)); fi
}
