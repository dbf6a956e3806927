#!/bin/sh
# Makes sure that the Mosquitto broker, its command-line clients and the openssl command, which makes its certificates,
# are on this machine, by its own package manager.
#
# Only the binaries are wanted: Paylatch starts brokers itself. A service that already runs is left alone, and on
# Debian the package is kept from starting a new one. The clients (mosquitto_pub, mosquitto_sub) are for docs/mqtt.md,
# openssl for docs/access.md, and both for tests; everything else runs without them. Exits 0 when a broker that is new
# enough is there, 1 with advice when it cannot be put there. One that is too old is not upgraded: whoever runs it has
# to know.

set -eu

# A user's PATH often leaves out the sbin directories, where most distributions put the broker.
PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"

oldest=2

say() { printf '%s\n' "install-mosquitto: $*" >&2; }

broker_found() { command -v mosquitto >/dev/null 2>&1; }

clients_found() { command -v mosquitto_pub >/dev/null 2>&1 && command -v mosquitto_sub >/dev/null 2>&1; }

openssl_found() { command -v openssl >/dev/null 2>&1; }

# What the broker says it is, like 2.0.11.
broker_version() { mosquitto -h 2>/dev/null | sed -n 's/^mosquitto version \([0-9][0-9.]*\).*/\1/p'; }

broker_new_enough() {
    version=$(broker_version)
    [ "${version%%.*}" -ge "$oldest" ] 2>/dev/null
}

require_new_enough() {
    broker_new_enough || give_up "$(command -v mosquitto) is version ${version:-unknown}; it has to be $oldest.0 or later."
}

give_up() {
    say "$1"
    say "Paylatch needs the Mosquitto broker, version $oldest.0 or later, and its tests the command-line clients and openssl."
    say "Install them and run the command again:"
    say "  Debian, Ubuntu   apt-get install mosquitto mosquitto-clients openssl"
    say "  Alpine           apk add mosquitto mosquitto-clients openssl"
    say "  Fedora           dnf install mosquitto openssl  Arch     pacman -S mosquitto openssl"
    say "  macOS            brew install mosquitto openssl others   see mosquitto.org/download"
    if broker_found && broker_new_enough; then
        exit 0
    fi
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

apt_install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; }

# Debian's package starts a service on port 1883 as soon as it is unpacked. invoke-rc.d asks policy-rc.d first, and
# 101 means "not allowed". An administrator's own policy stays in force. There is no other switch for this in apt.
apt_install_broker() {
    policy=/usr/sbin/policy-rc.d
    ours=no
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        ours=yes
        trap 'as_root rm -f "$policy"' EXIT
        trap 'exit 130' INT TERM
    fi
    apt_install mosquitto || return 1
    # Not started now, but the package enables it for the next boot; undo that too, since nobody asked for a service.
    if [ "$ours" = yes ] && command -v systemctl >/dev/null 2>&1; then
        as_root systemctl disable mosquitto.service >/dev/null 2>&1 || true
    fi
}

# A broker that is there already is neither upgraded nor touched for the sake of the others.
install_with_apt() {
    as_root apt-get update -q || say "package lists could not be refreshed; trying with the ones that are there"
    broker_found || apt_install_broker || return 1
    clients_found || apt_install mosquitto-clients || return 1
    openssl_found || apt_install openssl
}

install_by_package_manager() {
    if command -v brew >/dev/null 2>&1; then # Homebrew refuses to run as root and starts no service.
        brew install mosquitto openssl
        return
    fi
    may_be_root || give_up "something is missing, and installing it needs root (neither root nor passwordless sudo here)."
    if command -v apt-get >/dev/null 2>&1; then
        install_with_apt
    elif command -v dnf >/dev/null 2>&1; then
        as_root dnf install -y mosquitto openssl
    elif command -v pacman >/dev/null 2>&1; then
        as_root pacman -Sy --needed --noconfirm mosquitto openssl
    elif command -v apk >/dev/null 2>&1; then
        as_root apk add --no-cache mosquitto mosquitto-clients openssl
    else
        give_up "something is missing, and no package manager that this script knows is here."
    fi
}

if broker_found; then
    require_new_enough
    if clients_found && openssl_found; then
        exit 0
    fi
fi
say "the Mosquitto broker, its command-line clients or openssl is missing; installing with the system's package manager"
install_by_package_manager >&2 || give_up "the package manager could not install them."
broker_found || give_up "the package manager reported success, yet there is no mosquitto on $PATH."
require_new_enough
clients_found || give_up "the package manager reported success, yet there is no mosquitto_pub or mosquitto_sub on $PATH."
openssl_found || give_up "the package manager reported success, yet there is no openssl on $PATH."
say "installed $(command -v mosquitto), $(command -v mosquitto_pub), $(command -v openssl)"
