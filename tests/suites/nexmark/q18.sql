-- Last bid per (bidder,auction)
SELECT auction, bidder, price, channel, url, date_time, extra FROM (
  SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, price DESC, url, extra) AS rn FROM bid) t WHERE rn <= 1
