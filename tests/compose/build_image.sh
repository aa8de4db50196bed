#!/bin/sh
# Build an image from this checkout with this host's ways of reaching the package index.
#
# Usage: build_image.sh NAME DOCKERFILE
# Input: the checkout; this host's CA bundle and pip configuration, which are read here and written nowhere else.
# Output: the image. A user who needs none of this runs `docker compose build`.
set -eu
name=$1
dockerfile=$2

root=$(cd "$(dirname "$0")/../.." && pwd)
docker=${DOCKER:-docker}
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

for part in .dockerignore services shared infra pyproject.toml README.md requirements.lock requirements-dev.lock; do
    cp -r "$root/$part" "$context/"
done
find "$context" -name __pycache__ -type d -prune -exec rm -rf {} +

set -- --network host
certificates=${PIP_CERT:-${SSL_CERT_FILE:-}}
if [ -n "$certificates" ]; then
    cp "$certificates" "$context/infra/docker/extra-ca/host.crt"
    set -- "$@" --build-arg PIP_CERT=/etc/ssl/certs/ca-certificates.crt
fi
index=$(python3 -m pip config get global.index-url 2>/dev/null || true)
[ -z "$index" ] || set -- "$@" --build-arg "PIP_INDEX_URL=$index"

"$docker" build "$@" -t "$name" -f "$root/$dockerfile" "$context"
