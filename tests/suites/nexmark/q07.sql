-- Highest bid of each 10 seconds
SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM bid b JOIN (
    SELECT max(price) AS maxprice,
        date_bin('10 seconds', date_time, timestamp '1970-01-01') + interval '10 seconds' AS window_end
    FROM bid
    GROUP BY date_bin('10 seconds', date_time, timestamp '1970-01-01') + interval '10 seconds') w
ON b.price = w.maxprice
WHERE b.date_time BETWEEN w.window_end - interval '10 seconds' AND w.window_end
