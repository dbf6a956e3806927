#!/bin/sh
# Makes sure that PostgreSQL's server programs are on this machine, by its own package manager.
#
# Only the programs are wanted: the tests and the demo start servers themselves. A cluster that already runs is left
# alone, and on Debian the package is kept from making a new one. Exits 0 when a PostgreSQL that is new enough is there,
# 1 with advice when it cannot be put there.

set -eu

oldest=15

# Homebrew and Alpine keep the programs in directories that are on nobody's PATH.
for directory in /usr/local/pgsql/bin /usr/libexec/postgresql15 \
    /opt/homebrew/opt/postgresql@15/bin /usr/local/opt/postgresql@15/bin; do
    PATH="$PATH:$directory"
done

# So does Debian, with a directory for each version; the newest counts, before whatever the PATH has, as for Paylatch.
find_debians() {
    for version in $(ls /usr/lib/postgresql 2>/dev/null | sort -n); do
        PATH="/usr/lib/postgresql/$version/bin:$PATH"
    done
}

say() { printf '%s\n' "install-postgres: $*" >&2; }

found() { command -v initdb >/dev/null 2>&1 && command -v postgres >/dev/null 2>&1; }

# What the server says it is, like 15.20.
server_version() { postgres --version 2>/dev/null | sed -n 's/^postgres (PostgreSQL) \([0-9][0-9.]*\).*/\1/p'; }

require_new_enough() {
    version=$(server_version)
    [ "${version%%.*}" -ge "$oldest" ] 2>/dev/null ||
        give_up "$(command -v postgres) is version ${version:-unknown}; it has to be $oldest or later."
}

give_up() {
    say "$1"
    say "Paylatch's tests need PostgreSQL, version $oldest or later. Install it and run the command again:"
    say "  Debian, Ubuntu   apt-get install postgresql     Fedora   dnf install postgresql-server"
    say "  Arch             pacman -S postgresql           Alpine   apk add postgresql15"
    say "  macOS            brew install postgresql@15     others   see postgresql.org/download"
    exit 1
}

# Runs a command as root: directly, or by sudo when that asks for no password (setup must never hang on a prompt).
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

may_be_root() {
    [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; }
}

# Debian's package makes a cluster and starts it as soon as it is unpacked, unless the common package, which comes
# first, has been told not to.
install_with_apt() {
    as_root apt-get update -q || say "package lists could not be refreshed; trying with the ones that are there"
    set -- env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        as_root mkdir -p /etc/postgresql-common
        printf 'create_main_cluster = false\n' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
        set -- "$@" -o Dpkg::Options::=--force-confold
    fi
    as_root "$@" postgresql
}

install_by_package_manager() {
    if command -v brew >/dev/null 2>&1; then # Homebrew refuses to run as root and starts no service.
        brew install postgresql@15
        return
    fi
    may_be_root ||
        give_up "PostgreSQL is missing, and installing it needs root (neither root nor passwordless sudo here)."
    if command -v apt-get >/dev/null 2>&1; then
        install_with_apt
    elif command -v dnf >/dev/null 2>&1; then
        as_root dnf install -y postgresql-server
    elif command -v pacman >/dev/null 2>&1; then
        as_root pacman -Sy --needed --noconfirm postgresql
    elif command -v apk >/dev/null 2>&1; then
        as_root apk add --no-cache postgresql15
    else
        give_up "PostgreSQL is missing, and no package manager that this script knows is here."
    fi
}

find_debians
if found; then
    require_new_enough
    exit 0
fi
say "PostgreSQL is missing; installing it with the system's package manager"
install_by_package_manager >&2 || give_up "the package manager could not install PostgreSQL."
find_debians
found || give_up "the package manager reported success, yet there is no initdb on $PATH."
require_new_enough
say "installed $(command -v postgres)"
