-- The questions of `pagefold fleet` for ClickHouse, 18.16 or later, on one server or many.
--
-- The configuration of each server names all of them as the cluster `fleet`. On each server:
--
--     clickhouse-client --multiquery < clickhouse.sql
--
-- Then, on any of them, in Parquet, or as TSV where the server was built without it (Debian's 18.16):
--
--     for f in DIR/*.parquet; do clickhouse-client --query 'INSERT INTO everywhere FORMAT Parquet' < $f; done
--     clickhouse-client --query 'SELECT * FROM hosts'

CREATE TABLE IF NOT EXISTS contents (host String, guest String, high Int64, low Int64, zero UInt8, pages Int64)
ENGINE = MergeTree ORDER BY (high, low) SETTINGS index_granularity = 8192;

-- All rows of a content come to one server.
CREATE TABLE IF NOT EXISTS everywhere AS contents
ENGINE = Distributed(fleet, default, contents, cityHash64(high));

CREATE VIEW IF NOT EXISTS hosts AS
SELECT host, max(guests) AS guests, sum(all_pages) AS pages, count() AS contents, sum(all_pages) - count() AS saved
FROM (SELECT host, high, low, sum(pages) AS all_pages FROM everywhere GROUP BY host, high, low)
ANY INNER JOIN (SELECT host, uniqExact(guest) AS guests FROM everywhere GROUP BY host) USING host
GROUP BY host ORDER BY saved DESC, host;

CREATE VIEW IF NOT EXISTS fleet AS
SELECT count() AS contents, sum(all_pages) AS pages, countIf(hosts > 1) AS on_several_hosts
FROM (SELECT high, low, sum(pages) AS all_pages, uniqExact(host) AS hosts FROM everywhere GROUP BY high, low);

CREATE VIEW IF NOT EXISTS common AS
SELECT concat(lower(substring(concat('0000000000000000', hex(toUInt64(high))), length(hex(toUInt64(high))) + 1, 16)),
              lower(substring(concat('0000000000000000', hex(toUInt64(low))), length(hex(toUInt64(low))) + 1, 16))) AS fingerprint,
       hosts, guests, all_pages
FROM (SELECT high, low, uniqExact(host) AS hosts, count() AS guests, sum(pages) AS all_pages
      FROM everywhere WHERE zero = 0 GROUP BY high, low HAVING guests > 1)
ORDER BY guests DESC, all_pages DESC, fingerprint LIMIT 20;
