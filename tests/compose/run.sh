#!/bin/sh
# make test-compose: the containers, proven on a real Docker engine with Compose 1.29 and v2.
#
# Images are stand-ins from Debian packages; GATEPOST_PULL=1 takes the public ones instead.
# Arguments go to pytest. GATEPOST_COMPOSE="docker-compose" (or another command) tries that Compose alone.
set -eu
cd "$(dirname "$0")/../.."

if [ "${1:-}" != inside ]; then
    tests/compose/install.sh
    exec tests/compose/engine.sh "$0" inside "$@"
fi
shift

if [ -z "${GATEPOST_PULL:-}" ]; then
    export GATEPOST_COMPOSE_V2="${GATEPOST_COMPOSE_V2:-/var/tmp/gatepost-standins/docker-compose-v2}"
    tests/compose/standins.sh
fi

build() { # build NAME DOCKERFILE
    began=$(date +%s)
    log=$(mktemp)
    tests/compose/build_image.sh "$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
    rm -f "$log"
    echo "compose: $1: $(($(date +%s) - began)) s"
}
build gatepost:local infra/docker/Dockerfile
build gatepost-test/contract tests/compose/contract.Dockerfile
exec .venv/bin/python -m pytest tests/compose -m compose -v "$@"
