-- New users who sell
SELECT p.id, p.name, p.starttime
FROM (
    SELECT id, name, date_bin('10 seconds', date_time, timestamp '1970-01-01') AS starttime
    FROM person
    GROUP BY id, name, date_bin('10 seconds', date_time, timestamp '1970-01-01')) p
JOIN (
    SELECT seller, date_bin('10 seconds', date_time, timestamp '1970-01-01') AS starttime
    FROM auction
    GROUP BY seller, date_bin('10 seconds', date_time, timestamp '1970-01-01')) a
ON p.id = a.seller AND p.starttime = a.starttime
