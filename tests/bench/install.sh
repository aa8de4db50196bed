#!/bin/sh
# install.sh [PACKAGE...]: installs the Debian packages that `make bench` (or the one that calls) needs and lacks.
# Starts none of their services, now or at the next boot; removes nothing: where another mail server is installed, Postfix
# would displace it, so it stops instead.
set -eu

guard=/usr/sbin/policy-rc.d
wanted=${*:-postfix rspamd clamav-daemon bind9 rabbitmq-server}

is_installed() {
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=""
for package in $wanted; do
    is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "bench: to install$missing this must run as root" >&2
    exit 1
fi

echo "bench: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# A machine's first install needs the lists; later ones work without them.
apt-get update -q || echo "bench: package lists not refreshed, going on with the old ones" >&2

# Word splitting is meant here and below: one argument per package.
# shellcheck disable=SC2086
removed=$(apt-get install --simulate --no-install-recommends $missing | sed -n 's/^Remv \([^ ]*\).*/\1/p')
if [ -n "$removed" ]; then
    echo "bench: this would remove: $removed; nothing was changed" >&2
    exit 1
fi

# 101: "forbidden by policy". A guard that was here before is somebody's own and stays.
if [ ! -e "$guard" ]; then
    trap 'rm -f "$guard"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$guard"
    chmod 755 "$guard"
fi

# Postfix asks at its first install; the bench's instances bring their own configuration.
echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
before=$(mktemp)
dpkg-query --show --showformat '${Package}\n' | sort >"$before"
# shellcheck disable=SC2086
apt-get install --yes --no-install-recommends $missing

# What came new, dependencies too, must not start at the next boot either.
if command -v systemctl >/dev/null; then
    dpkg-query --show --showformat '${Package}\n' | sort | comm -13 "$before" - |
        xargs -r dpkg-query --listfiles |
        sed -nE 's#^(/usr)?/lib/systemd/system/([^/@]+\.(service|socket|timer|path))$#\2#p' |
        while read -r unit; do
            systemctl disable --quiet "$unit" || echo "bench: $unit stays enabled" >&2
        done
fi
rm -f "$before"
