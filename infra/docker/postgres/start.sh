#!/bin/sh
# Start PostgreSQL in its container; the first time, make the cluster with Gatepost's role and database.
#
# Input: /run/gatepost/password (the role's), $PGDATA (the volume). Output: PostgreSQL on port 5432, data in $PGDATA/cluster.
# On failure: a first start that was cut short leaves only $PGDATA/unfinished, which the next one makes anew.
set -eu
cluster=$PGDATA/cluster
unfinished=$PGDATA/unfinished

if [ ! -d "$cluster" ]; then
    rm -rf "$unfinished"
    initdb --pgdata "$unfinished" --username postgres --auth reject --encoding UTF8 --locale C >/dev/null
    # Single-user mode: nobody can connect while the role has no password. One command a line.
    postgres --single -D "$unfinished" -c config_file=/etc/gatepost/postgresql.conf postgres >/dev/null <<SQL
CREATE ROLE gatepost LOGIN PASSWORD '$(cat /run/gatepost/password)'
CREATE DATABASE gatepost OWNER gatepost
SQL
    mv "$unfinished" "$cluster"
fi
exec postgres -D "$cluster" -c config_file=/etc/gatepost/postgresql.conf
