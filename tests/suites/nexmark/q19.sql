-- Auction top-10
SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, date_time, bidder, extra) AS rn FROM bid) t WHERE rn <= 10
