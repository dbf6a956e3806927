#!/bin/sh
# Makes sure that the Mosquitto broker's binary is on this machine, by its own package manager.
#
# Only the binary is wanted: Paylatch starts brokers itself. A service that already runs is left alone, and on
# Debian the package is kept from starting a new one. Exits 0 when Mosquitto is there, 1 with advice when it
# cannot be put there.

set -eu

# A user's PATH often leaves out the sbin directories, where most distributions put the broker.
PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"

say() { printf '%s\n' "install-mosquitto: $*" >&2; }

found() { command -v mosquitto >/dev/null 2>&1; }

give_up() {
    say "$1"
    say "Paylatch needs the Mosquitto broker, version 2.0 or later. Install it and run the command again:"
    say "  Debian, Ubuntu   apt-get install mosquitto      Fedora   dnf install mosquitto"
    say "  Arch             pacman -S mosquitto            Alpine   apk add mosquitto"
    say "  macOS            brew install mosquitto         others   see mosquitto.org/download"
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

# Debian's package starts a service on port 1883 as soon as it is unpacked. invoke-rc.d asks policy-rc.d first, and
# 101 means "not allowed". An administrator's own policy stays in force. There is no other switch for this in apt.
install_with_apt() {
    policy=/usr/sbin/policy-rc.d
    ours=no
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        ours=yes
        trap 'as_root rm -f "$policy"' EXIT
        trap 'exit 130' INT TERM
    fi
    as_root apt-get update -q || say "package lists could not be refreshed; trying with the ones that are there"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends mosquitto || return 1
    # Not started now, but the package enables it for the next boot; undo that too, since nobody asked for a service.
    if [ "$ours" = yes ] && command -v systemctl >/dev/null 2>&1; then
        as_root systemctl disable mosquitto.service >/dev/null 2>&1 || true
    fi
}

install_by_package_manager() {
    if command -v brew >/dev/null 2>&1; then # Homebrew refuses to run as root and starts no service.
        brew install mosquitto
        return
    fi
    may_be_root || give_up "mosquitto is missing, and installing it needs root (neither root nor passwordless sudo here)."
    if command -v apt-get >/dev/null 2>&1; then
        install_with_apt
    elif command -v dnf >/dev/null 2>&1; then
        as_root dnf install -y mosquitto
    elif command -v pacman >/dev/null 2>&1; then
        as_root pacman -Sy --needed --noconfirm mosquitto
    elif command -v apk >/dev/null 2>&1; then
        as_root apk add --no-cache mosquitto
    else
        give_up "mosquitto is missing, and no package manager that this script knows is here."
    fi
}

if found; then
    exit 0
fi
say "mosquitto is missing; installing it with the system's package manager"
install_by_package_manager >&2 || give_up "the package manager could not install mosquitto."
found || give_up "the package manager reported success, yet there is no mosquitto on $PATH."
say "installed $(command -v mosquitto)"
