#!/bin/sh
# Dumps a closed month that a release's own program left, for tests/it/upgrades.rs. In the release's tree, with DATABASE_URL
# naming an empty database: make.sh PROGRAM DUMP.sql.zst
set -eu
program=$1 dump=$2
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
cp -r config "$home/config"
sed -i 's/^enabled = true/enabled = false/' "$home/config/sarf.toml"     # every provider by files
export SARF_HOME="$home" SARF_CONFIG="$home/config"
run() { "$program" --quiet "$@"; }
run migrate
run operator add amina --role preparer
run operator add brahim --role approver
run operator add chafik --role accountant
run generate --households 1000 --period 2026-11 --seed 3 --out "$home/list"
run snapshot import "$home/list"
run run create --snapshot 1 --as amina
run run check 1 --acknowledge "a fixture" --as amina
run run submit 1 --as amina
run run approve 1 --as brahim
run run fund 1 --as chafik
run run release 1 --as chafik
run dispatch 1
run sandbox
run feedback import "$home/inbox"
run reconcile 1 || test $? = 3      # something needs a person
run run close 1 --as chafik --carry "a fixture"
pg_dump --inserts --rows-per-insert=200 --no-owner --no-privileges "$DATABASE_URL" | grep -v '^\\' | zstd -19 -q -f -o "$dump"
