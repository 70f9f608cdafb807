#!/bin/bash
# Point reads, single-row and 1,000-row INSERTs by 1, 8 and 64 clients, and COPY, beside PostgreSQL on the same disk with
# fsync on for both. Prints rates and ratios (ours : PostgreSQL's), each the median of three turns, one server after the
# other in each turn. Needs postgresql (apt) and a release build: cargo build --release --bin millrace
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-5}
binary=${MILLRACE_BINARY:-${CARGO_TARGET_DIR:-target}/release/millrace}
programs=$(pg_config --bindir 2>/dev/null || ls -d /usr/lib/postgresql/*/bin | tail -1)
work=$(mktemp -d "${BENCH_DIR:-/tmp}/beside.XXXXXX")
as_postgres() { if [ "$(id -u)" = 0 ]; then su postgres -c "$1"; else bash -c "$1"; fi; }

# Both servers, on ports of their own.
mkdir "$work/pg" "$work/ours"
[ "$(id -u)" != 0 ] || chown postgres "$work" "$work/pg"
as_postgres "$programs/initdb -D $work/pg -E UTF8 --locale=C -A trust -U bench" >/dev/null
as_postgres "$programs/pg_ctl -D $work/pg -o '-p 5599 -k $work -c max_connections=200' -l $work/pg/log -w start" >/dev/null
"$binary" --data "$work/ours/data" --pg-addr 127.0.0.1:5598 --http-addr 127.0.0.1:5597 >"$work/ours/log" 2>&1 &
ours=$!
trap 'kill $ours 2>/dev/null; as_postgres "$programs/pg_ctl -D $work/pg -m immediate stop" >/dev/null 2>&1; rm -rf "$work"' EXIT
until psql -q -h 127.0.0.1 -p 5598 -U bench -d millrace -c 'SELECT 1' >/dev/null 2>&1; do kill -0 $ours; sleep 0.1; done

on() { # server, arguments of psql
    local server=$1; shift
    if [ "$server" = ours ]; then psql -qX -h 127.0.0.1 -p 5598 -U bench -d millrace "$@"; else psql -qX -h 127.0.0.1 -p 5599 -U bench -d postgres "$@"; fi
}

rows() { seq 1 "$1" | awk '{ printf "%d,%d,name of account %d,2026-01-01 00:00:00\n", $1 + '"$2"', $1 % 97, $1 }'; }
rows 100000 0 >"$work/accounts.csv"
rows 200000 0 >"$work/copied.csv"
columns="(id int PRIMARY KEY, kind int, name text, at timestamp)"
for server in ours theirs; do
    on $server -c "CREATE TABLE accounts $columns" -c "CREATE TABLE log (client int, kind int, name text, at timestamp)"
    on $server -c "CREATE TABLE copied (id int, kind int, name text, at timestamp)"
    on $server -c "\\copy accounts FROM '$work/accounts.csv' CSV"
done

echo '\set id random(1, 100000)
SELECT * FROM accounts WHERE id = :id;' >"$work/point.sql"
echo "INSERT INTO log VALUES (:client_id, 1, 'name of account', '2026-01-01');" >"$work/single.sql"
{ echo -n "INSERT INTO log VALUES "; for n in $(seq 1 999); do echo -n "(1, $n, 'name of account $n', '2026-01-01'), "; done
  echo "(1, 1000, 'name', '2026-01-01');"; } >"$work/thousand.sql"

rate() { # server, script, clients
    local at="-p 5599 -d postgres"; [ "$1" = theirs ] || at="-p 5598 -d millrace"
    # shellcheck disable=SC2086
    "$programs/pgbench" -n -h 127.0.0.1 -U bench ${at/-d /} -M prepared -f "$work/$2.sql" -c "$3" -j 2 -T "$seconds" 2>/dev/null |
        awk '/^tps/ { print $3 }'
}

copy_rate() { # server, clients: thousand rows a second
    local begun ended
    on "$1" -c "TRUNCATE copied"
    begun=$(date +%s.%N)
    for _ in $(seq 1 "$2"); do on "$1" -c "\\copy copied FROM '$work/copied.csv' CSV" & pids+=($!); done
    wait "${pids[@]}"; pids=()
    ended=$(date +%s.%N)
    echo "$2 $begun $ended" | awk '{ print 200 * $1 / ($3 - $2) }'
}

median() { sort -g | sed -n 2p; }

compare() { # label, unit, command of one turn with the server as its first argument
    local label=$1 unit=$2 turn; shift 2
    for turn in 1 2 3; do
        "$1" ours "${@:2}" >>"$work/ours.rates"
        "$1" theirs "${@:2}" >>"$work/theirs.rates"
    done
    echo "$(median <"$work/ours.rates") $(median <"$work/theirs.rates")" |
        awk -v label="$label" -v unit="$unit" '{ printf "%-32s %10.1f %10.1f %s   ratio %.2f\n", label, $1, $2, unit, $1 / $2 }'
    rm "$work/ours.rates" "$work/theirs.rates"
}

pids=()
echo "                                       ours PostgreSQL"
for clients in 1 8 64; do
    compare "point read, $clients clients" "a second" rate point "$clients"
    compare "INSERT of 1 row, $clients clients" "a second" rate single "$clients"
    compare "INSERT of 1,000 rows, $clients clients" "a second" rate thousand "$clients"
done
for clients in 1 8; do
    compare "COPY of 200,000 rows, $clients clients" "thousand rows a second" copy_rate "$clients"
done
