#!/bin/sh
# Run a command with a Docker engine: the one that is there, else one of our own, ended afterwards.
#
# Usage: engine.sh COMMAND…   Input: $GATEPOST_DOCKER_DATA, where an engine of our own keeps its images.
# On failure: the engine's log is shown, exit 1.
set -eu

docker=${DOCKER:-docker}
if "$docker" info >/dev/null 2>&1; then
    exec "$@"
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "compose: no Docker engine answers, and only root can start one" >&2
    exit 1
fi

data=${GATEPOST_DOCKER_DATA:-/var/lib/gatepost-docker}
state=/run/gatepost-docker
mkdir -p "$data" "$state"
log=$state/dockerd.log
dockerd --data-root "$data" --exec-root "$state" --pidfile "$state/dockerd.pid" \
    --host unix:///var/run/docker.sock >"$log" 2>&1 &
engine=$!
trap 'kill "$engine" 2>/dev/null || true; wait "$engine" || true' EXIT
trap 'exit 130' INT TERM

tries=60
until "$docker" info >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ] || ! kill -0 "$engine" 2>/dev/null; then
        tail -n 30 "$log" >&2
        echo "compose: no Docker engine could be started" >&2
        exit 1
    fi
    sleep 1
done
"$@"
