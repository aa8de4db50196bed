#!/bin/sh
# Start PostgreSQL in its container; the first time, make the cluster with Gatepost's role and database.
#
# Input: /run/gatepost/password (the role's). Output: PostgreSQL on port 5432, data in $PGDATA.
# On failure: a first start that was cut short leaves no PG_VERSION in $PGDATA and is made anew.
set -eu
data=${PGDATA:-/var/lib/postgresql/data}

if [ ! -s "$data/PG_VERSION" ]; then
    fresh=$data/fresh
    rm -rf "$fresh"
    initdb --pgdata "$fresh" --username postgres --auth reject --encoding UTF8 --locale C >/dev/null
    # Single-user mode: nobody can connect while the role has no password. One command a line.
    postgres --single -D "$fresh" -c config_file=/etc/gatepost/postgresql.conf postgres >/dev/null <<SQL
CREATE ROLE gatepost LOGIN PASSWORD '$(cat /run/gatepost/password)'
CREATE DATABASE gatepost OWNER gatepost
SQL
    # PG_VERSION last: it is what says that the cluster is whole.
    for part in "$fresh"/*; do
        [ "$(basename "$part")" = PG_VERSION ] || mv "$part" "$data/"
    done
    mv "$fresh/PG_VERSION" "$data/"
    rm -rf "$fresh"
fi
exec postgres -D "$data" -c config_file=/etc/gatepost/postgresql.conf
