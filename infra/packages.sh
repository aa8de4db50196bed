#!/bin/sh
# Install the Debian packages that `make run` and `make test` need and this machine lacks.
#
# Input: nothing. Output: the missing packages' names, then apt's own words.
# Nothing of theirs is started: a policy-rc.d says no while they are installed, and goes away again (one that was there
# before stays). No mail server is among them, so none of the user's is replaced.
# On failure: says what to run by hand; exit 1.
set -eu

needed='python3-venv rabbitmq-server clamav-daemon swaks'

missing=''
for package in $needed; do
    # An interpreter that is not Debian's brings its own venv.
    [ "$package" = python3-venv ] && python3 -c 'import ensurepip, venv' 2>/dev/null && continue
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "Debian packages to install:$missing"
as_root=''
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Please install them as root: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    as_root=sudo
fi

guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$guard" >/dev/null
    $as_root chmod 755 "$guard"
    trap '$as_root rm -f "$guard"' EXIT
    trap 'exit 1' INT TERM
fi
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
# shellcheck disable=SC2086  # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
