#!/bin/sh
# Give Gatepost a renewed certificate: certbot's deploy hook, or by hand: certificate-hook FOLDER
#
# Input: the folder with fullchain.pem and privkey.pem (RENEWED_LINEAGE, or the first argument).
# Output: copies for the SMTP listeners and the console's pages, each for its service's user alone. Both services notice.
# On failure: says what is missing; exit 1, and the old certificates stay.
set -eu
lineage=${1:-${RENEWED_LINEAGE:-}}
for file in fullchain.pem privkey.pem; do
    if [ ! -s "$lineage/$file" ]; then
        echo "certificate-hook: $lineage/$file is missing" >&2
        exit 1
    fi
done

give() {
    [ -d "$2" ] || return 0
    for file in privkey.pem fullchain.pem; do
        install -o "$1" -g "$1" -m 0600 "$lineage/$file" "$2/.$file.new"
    done
    for file in privkey.pem fullchain.pem; do
        mv "$2/.$file.new" "$2/$file"
    done
    echo "certificate-hook: $2 has it"
}

give gatepost-edge /etc/gatepost/edge
give gatepost-console /var/lib/gatepost-console
