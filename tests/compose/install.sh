#!/bin/sh
# Installs the Debian packages that `make test-compose` needs and lacks: an engine, Compose 1.29, and debootstrap.
# Starts none of their services; removes nothing. An engine or a docker client that is there already is used as it is.
set -eu

missing=""
command -v docker >/dev/null || command -v dockerd >/dev/null || missing="$missing docker.io"
docker info >/dev/null 2>&1 || command -v dockerd >/dev/null || missing="$missing docker.io"
command -v docker-compose >/dev/null || missing="$missing docker-compose"
command -v debootstrap >/dev/null || missing="$missing debootstrap"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "compose: to install$missing this must run as root" >&2
    exit 1
fi
echo "compose: installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q || echo "compose: package lists not refreshed, going on with the old ones" >&2
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
    trap 'rm -f "$guard"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$guard"
    chmod 755 "$guard"
fi
# Word splitting is meant: one argument per package.
# shellcheck disable=SC2086
apt-get install --yes --no-install-recommends $missing
