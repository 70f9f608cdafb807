#!/usr/bin/env bash
# psql: see steps.txt. Prints `step<TAB>line`.
set -euo pipefail
port=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# A psql whose output is a pipe would keep its lines back.
psql=(stdbuf -oL psql --no-psqlrc -qAt -h "$PGHOST" -U ada -d millrace)
run() { "${psql[@]}" -p "$port" "$@"; }
# Each line of its input as a line of the step.
tell() { while IFS= read -r line; do printf '%s\t%s\n' "$1" "$line"; done; }
# The SQLSTATEs of a script's errors.
codes() { run -v VERBOSITY=sqlstate 2>&1 >/dev/null | sed -n 's/.*ERROR:  \([0-9A-Z]\{5\}\).*/\1/p'; }

run -c 'SELECT current_database()' | tell connect
run -P null=null -c "SET TIME ZONE 'UTC'" -c 'SELECT * FROM types ORDER BY b' | tell types-text

run -c "SET TIME ZONE 'UTC'" -c "PREPARE add AS INSERT INTO types VALUES (\$1, \$2, \$3, \$4, \$5, \$6, \$7, \$8, \$9, \$10, \$11, \$12, \$13)
    RETURNING CASE WHEN b THEN 'true' END, s, i, l, r, d, n, t, da, ts, ts || ' UTC', u, substr(y::text, 3)" \
    -c "EXECUTE add(true, -5, 7, 9007199254740993, 0.5, -0.25, 12.34, 'é''\\', '2020-02-29', '2020-02-29 12:34:56.789',
    '2020-02-29 12:34:56.789+00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\x00ff')" | tell parameters

printf '%s\n' 'PREPARE next (int) AS SELECT $1 + 1;' 'EXECUTE next(1);' 'EXECUTE next(41);' | run | tell prepared

# `\;` sends several statements as one text.
echo "INSERT INTO k VALUES (1, 'n1', 1)\\; INSERT INTO k VALUES (2, 'n2', 1)\\; INSERT INTO k VALUES (3, 'n3', 1);" | run
run -c 'SELECT count(*) FROM k' | tell batch
echo "INSERT INTO k VALUES (4, 'x', 1)\\; INSERT INTO k VALUES (1, 'x', 1)\\; INSERT INTO k VALUES (5, 'x', 1);" | codes | tell batch-error
run -c 'SELECT count(*) FROM k' | tell batch-error

printf '1\tone\n2\ttwo, and\n' | run -c 'COPY copied FROM STDIN'
run -c 'SELECT count(*) FROM copied' | tell copy-in
run -c 'COPY (SELECT * FROM copied ORDER BY id) TO STDOUT' | tr '\t' ' ' | tell copy-out
run -c "\\copy types to '$folder/types' (format binary)"
run -c "\\copy more_types from '$folder/types' (format binary)"
run -c 'SELECT count(*) FROM more_types' | tell copy-binary

for end in ROLLBACK COMMIT; do
    printf '%s\n' 'BEGIN;' 'INSERT INTO moved VALUES (1);' "$end;" 'SELECT count(*) FROM moved;' | run | tell transaction
done

printf '%s\n' 'BEGIN;' 'SELECT 1/0;' 'SELECT 1;' 'ROLLBACK;' | codes | tell failed-block

printf '%s\n' 'BEGIN;' 'INSERT INTO moved VALUES (2);' 'SAVEPOINT s;' 'SELECT 1/0;' 'ROLLBACK TO s;' \
    'INSERT INTO moved VALUES (3);' 'COMMIT;' | run 2>/dev/null
run -c 'SELECT id FROM moved WHERE id > 1 ORDER BY id' | tell savepoint

for statement in "INSERT INTO k VALUES (1, 'x', 1)" "INSERT INTO k VALUES (9, 'x', -1)" "INSERT INTO k VALUES (9, NULL, 1)"; do
    told=$(echo "$statement;" | run -v VERBOSITY=verbose 2>&1 || true)
    field() { sed -n "s/^$1:  //p" <<<"$told"; }
    printf '%s|%s|%s|%s|%s|%s\n' "$(sed -n 's/.*ERROR:  \([0-9A-Z]\{5\}\):.*/\1/p' <<<"$told")" "$(field 'SCHEMA NAME')" \
        "$(field 'TABLE NAME')" "$(field 'COLUMN NAME')" "$(field 'CONSTRAINT NAME')" "$(field DETAIL)" | tell error-fields
done
# The position is shown as a caret below the column, behind `LINE 1: `.
told=$(echo 'SELECT nope FROM k;' | run -v VERBOSITY=verbose 2>&1 || true)
caret=$(grep -n '\^' <<<"$told" | head -1 | cut -d: -f2-)
caret=${caret%%^*}
printf '%s|%s\n' "$(sed -n 's/.*ERROR:  \([0-9A-Z]\{5\}\):.*/\1/p' <<<"$told")" "$((${#caret} - 8 + 1))" | tell error-fields

seq 0 999 | run -c 'COPY many FROM STDIN'
run -v FETCH_COUNT=100 -c 'SELECT id FROM many' | awk '{ count++; sum += $1 } END { print count "|" sum }' | tell cursor

# Rows of a COPY come one by one; the pipe ends psql once two are read.
mkfifo "$folder/live"
"${psql[@]}" -p "$port" -c 'COPY (SUBSCRIBE live) TO STDOUT' >"$folder/live" 2>"$folder/told" &
following=$!
exec 3<"$folder/live"
IFS= read -r line <&3
cut -f2- <<<"$line" | tr '\t' '|' | tell live
run -c "INSERT INTO live VALUES (2, 'two')"
IFS= read -r line <&3
cut -f2- <<<"$line" | tr '\t' '|' | tell live
kill -INT "$following"
wait "$following" || true
exec 3<&-

mkfifo "$folder/in" "$folder/out"
run <"$folder/in" >"$folder/out" &
session=$!
exec 4>"$folder/in" 5<"$folder/out"
printf '%s\n' 'BEGIN;' 'DECLARE c CURSOR FOR SUBSCRIBE live WITH (SNAPSHOT = false);' '\echo declared' >&4
IFS= read -r line <&5
run -c "INSERT INTO live VALUES (3, 'three')"
printf '%s\n' 'FETCH 1 FROM c;' >&4
IFS= read -r line <&5
cut -d'|' -f2- <<<"$line" | tell live-cursor
printf '%s\n' "FETCH ALL FROM c WITH (timeout = '10ms');" '\echo :ROW_COUNT' 'COMMIT;' >&4
IFS= read -r line <&5
tell live-cursor <<<"$line"
exec 4>&- 5<&-
wait "$session"

# psql sends a CancelRequest when it is interrupted.
mkfifo "$folder/cancel"
"${psql[@]}" -p "$port" -v VERBOSITY=sqlstate -c 'COPY (SUBSCRIBE live) TO STDOUT' >"$folder/cancel" 2>"$folder/told" &
following=$!
exec 6<"$folder/cancel"
IFS= read -r line <&6
kill -INT "$following"
wait "$following" || true
exec 6<&-
sed -n 's/.*ERROR:  //p' "$folder/told" | tell cancel

printf '%s\n' "SET statement_timeout = '50ms';" 'SUBSCRIBE live;' 'RESET statement_timeout;' 'SELECT 1;' >"$folder/timeout"
run -v VERBOSITY=sqlstate -f "$folder/timeout" 2>&1 | sed 's/.*ERROR:  //' | tell timeout

run -v VERBOSITY=verbose -c 'DROP TABLE IF EXISTS nowhere' 2>&1 | sed -n 's/^NOTICE:  \([0-9A-Z]*\): /\1|/p' | tell notice

while read -r name value; do
    printf '%s\n' "SET $name = $value;" "SHOW $name;" "RESET $name;" | run | sed "s/^/$name=/" | tell settings
done <<'SETTINGS'
application_name 'me'
client_encoding 'utf-8'
DateStyle ISO, DMY
extra_float_digits 3
search_path public
standard_conforming_strings on
bytea_output hex
TimeZone 'Europe/Berlin'
statement_timeout 5000
lock_timeout 0
SETTINGS
run -c 'SHOW DateStyle' | sed 's/^/DateStyle=/' | tell settings

echo '\echo :SERVER_VERSION_NAME :ENCODING' | run | sed 's/^\(....\).* /\1|/' | tell reported

run -c '\d k' | sed -n 's/^\([a-z]*\)|\([a-z]*\)||\([a-z ]*\)|.*/\1 \2 \3/p' | sed 's/ $//' | tell catalog
run -P tuples_only=off -c '\d k' | sed -n 's/.*PRIMARY KEY, btree (\(.*\))/key \1/p' | tell catalog

echo RESTART
read -r port
run -c 'SELECT count(*) FROM k' | tell restart
