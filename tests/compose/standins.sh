#!/bin/sh
# Build stand-ins, under their public names, for every image that Gatepost's containers are made from.
#
# Input: a running Docker engine, root (for debootstrap), Debian's apt as this host has it set up.
# Output: the images of `standins` below; Compose v2's binary at $GATEPOST_COMPOSE_V2 (default: the cache folder).
# An image that exists already is left alone: `docker rmi NAME` makes the next run build it anew.
# On failure: the step's log is shown, exit 1, and what was built before stays.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
docker=${DOCKER:-docker}
cache=${GATEPOST_STANDINS:-/var/tmp/gatepost-standins}
compose_v2=${GATEPOST_COMPOSE_V2:-$cache/docker-compose-v2}

# public name, target in standins.Dockerfile, Debian suite whose package has that version
standins="
python:3.11-slim-bookworm      python    bookworm
rabbitmq:4.0-management        rabbitmq  trixie
clamav/clamav:1.4              clamav    trixie
rspamd/rspamd:3.12.1           rspamd    trixie
redis:8.0                      redis     trixie
postgres:17                    postgres  trixie
haproxy:3.0                    haproxy   trixie
prom/prometheus:v2.53.3        prometheus trixie
"

present() { "$docker" image inspect "$1" >/dev/null 2>&1; }

timed() { # timed LABEL COMMAND…
    label=$1; shift
    began=$(date +%s)
    log=$(mktemp "$cache/log.XXXXXX")
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "standins: $label failed (log: $log)" >&2
        exit 1
    fi
    rm -f "$log"
    echo "standins: $label: $(($(date +%s) - began)) s"
}

debian_mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1
}

bootstrap() { # bootstrap SUITE: debian:SUITE-slim from this host's mirror, with this host's ways of reaching it
    root=$(mktemp -d "$cache/$1.XXXXXX")
    debootstrap --variant=minbase --include=ca-certificates "$1" "$root" "$(debian_mirror)"
    apt-config dump Acquire | grep -Ei '^Acquire::(Check|https?::|Retries)' >"$root/etc/apt/apt.conf.d/00host" || true
    tar -C "$root" --one-file-system -c . | "$docker" import - "debian:$1-slim"
    rm -rf "$root"
}

standin() { # standin NAME TARGET SUITE
    "$docker" build --network host --target "$2" --build-arg "SUITE=$3" -t "$1" -f "$here/standins.Dockerfile" "$here"
}

copy_compose_v2() {
    standin gatepost-standin/compose-v2 compose-v2 trixie
    box=$("$docker" create gatepost-standin/compose-v2 true)
    mkdir -p "$(dirname "$compose_v2")"
    "$docker" cp "$box:/compose/usr/libexec/docker/cli-plugins/docker-compose" "$compose_v2"
    "$docker" rm "$box"
}

mkdir -p "$cache"
all_began=$(date +%s)
echo "$standins" | while read -r name target suite; do
    [ -n "$name" ] || continue
    if present "$name"; then echo "standins: $name: there already"; continue; fi
    present "debian:$suite-slim" || timed "debian:$suite-slim" bootstrap "$suite"
    timed "$name" standin "$name" "$target" "$suite"
done
[ -x "$compose_v2" ] || timed "compose v2" copy_compose_v2
echo "standins: all in $(($(date +%s) - all_began)) s"
