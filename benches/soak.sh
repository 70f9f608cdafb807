#!/usr/bin/env bash
# Memory over a long time: the demo's load, with views that are created, read and dropped every five seconds.
#
#   benches/soak.sh [MINUTES] [READINGS A SECOND]      30 and 500 unless given
#
# Prints the memory of the process each minute, and in the end by how much it has grown a minute since the first
# sixth of the time (old readings are deleted from then on). Fails where that is 1 MiB or more, or a statement failed.
# MILLRACE_BINARY names the binary; else it is built.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${1:-30} rate=${2:-500} port=${MILLRACE_SOAK_PORT:-16911}

if [ -z "${MILLRACE_BINARY:-}" ]; then
    cargo build --release --workspace --bin millrace
    MILLRACE_BINARY="${CARGO_TARGET_DIR:-target}/release/millrace"
fi
folder=$(mktemp -d)
"$MILLRACE_BINARY" demo --rate "$rate" --keep-minutes 2 --seconds $((minutes * 60 + 30)) \
    --pg-addr "127.0.0.1:$port" --http-addr 127.0.0.1:0 >"$folder/demo" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT

run() {
    psql -qAtX -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -d millrace "$@" >/dev/null
}
until run -c 'SELECT 1 FROM board' 2>/dev/null; do
    kill -0 "$server" || { cat "$folder/demo" >&2; exit 1; }
    sleep 0.2
done

began=$SECONDS round=0
while [ $((SECONDS - began)) -lt $((minutes * 60)) ]; do
    round=$((round + 1))
    run -c "CREATE MATERIALIZED VIEW soak_$round AS
            SELECT sensor, count(*) AS n, max(value) AS most, avg(value) AS mean FROM readings GROUP BY sensor" \
        -c "SELECT count(*) FROM soak_$round" -c "DROP MATERIALIZED VIEW soak_$round"
    run -c "CREATE MATERIALIZED VIEW joined_$round AS
            SELECT r.sensor, s.name, r.value FROM readings r JOIN sensors s ON s.id = r.sensor WHERE r.value > 50" \
        -c "SELECT count(*) FROM joined_$round" -c "DROP MATERIALIZED VIEW joined_$round"
    anonymous=$(awk '/RssAnon/ {print $2}' "/proc/$server/status")
    echo "$((SECONDS - began)) $anonymous" >>"$folder/memory"
    if [ $((round % 12)) -eq 1 ]; then
        echo "after $((SECONDS - began)) s: $((anonymous / 1024)) MiB, $((round * 2)) views came and went"
    fi
    sleep 5
done

awk -v from=$((minutes * 10)) '
    $1 >= from { n++; x += $1; y += $2; xx += $1 * $1; xy += $1 * $2 }
    END {
        slope = (n * xy - x * y) / (n * xx - x * x) * 60 / 1024
        printf "memory grew by %.3f MiB a minute\n", slope
        exit slope >= 1
    }' "$folder/memory"
