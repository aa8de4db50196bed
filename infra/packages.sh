#!/bin/sh
# Install the Debian packages that `make run` or `make test` needs and this machine lacks.
#
# Input: `run`, `check` (what run needs, and a compiler with headers for the Python package gssapi) or `test` (that, and
# the servers and clients that tests try Gatepost against).
# Output: the missing packages' names, then apt's own words.
# Nothing of theirs runs, now or after the next boot: a policy-rc.d says no while they are installed (one that was there
# before stays), and their systemd units are disabled. Nothing is removed: where another mail server is installed,
# Postfix would displace it, so it is left out.
# On failure: says what to do by hand; exit 1.
set -eu

needed='python3-venv rabbitmq-server clamav-daemon rspamd libarchive13 swaks'
compiler='gcc libc6-dev python3-dev libkrb5-dev'
servers='postfix dovecot-lmtpd bind9 postgresql redis-server slapd ldap-utils krb5-kdc krb5-admin-server haproxy'
engines='spamassassin spamd c-icap libc-icap-mod-virus-scan opendkim opendkim-tools'
clients='krb5-user curl gsasl libnet-ssleay-perl openssl chromium chromium-driver fonts-dejavu-core'
case "${1:-run}" in
check) needed="$needed $compiler" ;;
test) needed="$needed $compiler $servers $engines $clients" ;;
esac

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=''
for package in $needed; do
    # An interpreter that is not Debian's brings its own venv.
    [ "$package" = python3-venv ] && python3 -c 'import ensurepip, venv' 2>/dev/null && continue
    [ "$package" = python3-dev ] && [ -e "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] &&
        continue
    # Its name on newer systems.
    [ "$package" = libarchive13 ] && is_installed libarchive13t64 && continue
    is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=''
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Please install as root: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    as_root=sudo
fi

apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"
}

removed_by() {
    # shellcheck disable=SC2086  # a list of words
    apt install --simulate --no-install-recommends $1 | sed -n 's/^Remv \([^ ]*\).*/\1/p'
}

# A machine's first install needs the lists; later ones work without them.
apt update || echo 'The package lists were not refreshed; going on with the old ones.' >&2
if [ -n "$(removed_by "$missing")" ]; then
    missing=$(echo "$missing" | sed 's/ postfix\b//')
    echo 'Postfix would displace the mail server that is installed here: left out, tests that need it are skipped.' >&2
    if [ -n "$(removed_by "$missing")" ]; then
        echo "Installing$missing would remove: $(removed_by "$missing"); nothing was changed." >&2
        exit 1
    fi
    [ -n "$missing" ] || exit 0
fi
echo "Debian packages to install:$missing"

units() {
    find /lib/systemd/system -name '*.service' -o -name '*.socket' -o -name '*.timer' 2>/dev/null |
        grep -E '/(rabbitmq|epmd|clamav|rspamd|spam|c-icap|opendkim|postfix|dovecot|named|postgresql|redis|slapd|krb5|haproxy)' | sort
}

guard=/usr/sbin/policy-rc.d
before=$(units)
if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$guard" >/dev/null
    $as_root chmod 755 "$guard"
    trap '$as_root rm -f "$guard"' EXIT
    trap 'exit 130' INT TERM
fi
# shellcheck disable=SC2086  # a list of words
apt install -y --no-install-recommends $missing
if command -v systemctl >/dev/null; then
    for unit in $(units); do
        # A unit with an @ is a template, which nothing enables.
        case "$before$unit" in *"$unit"*"$unit" | *@.*) continue ;; esac
        $as_root systemctl disable --quiet "$(basename "$unit")" || true
    done
fi
