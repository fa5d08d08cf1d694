// What is asked about a fleet, in SQL that DuckDB takes. examples/fleet/ has the same for ClickHouse and for Dask.

/** What merging saves on each host as guests are placed now; every content once. */
export const HOSTS = `
SELECT host, any_value(guests)::BIGINT AS guests, sum(pages)::BIGINT AS pages, count(*) AS contents, sum(pages)::BIGINT - count(*) AS saved
FROM (SELECT host, high, low, sum(pages) AS pages FROM files GROUP BY host, high, low)
JOIN (SELECT host, count(DISTINCT guest) AS guests FROM files GROUP BY host) USING (host)
GROUP BY host ORDER BY saved DESC, host`

/** How many contents there are, and how many of them several hosts have. */
export const TOTAL = `
SELECT count(*) AS contents, coalesce(sum(pages), 0)::BIGINT AS pages, count(*) FILTER (hosts > 1) AS on_several_hosts
FROM (SELECT high, low, sum(pages) AS pages, count(DISTINCT host) AS hosts FROM files GROUP BY high, low)`

/** Contents that most guests have, zeros apart. */
export const everywhere = (limit: number): string => `
SELECT printf('%016x%016x', high, low) AS fingerprint, count(DISTINCT host) AS hosts, count(*) AS guests, sum(pages)::BIGINT AS pages
FROM files WHERE NOT zero
GROUP BY high, low HAVING count(*) > 1
ORDER BY guests DESC, pages DESC, fingerprint LIMIT ${limit}`

/** The guests, in an order that is always the same. */
export const GUESTS = 'SELECT DISTINCT host, guest FROM files ORDER BY host, guest'

/** Rows of contents that several guests have: the only ones for which it matters who lives with whom. */
export const SHARED_ROWS = `
SELECT count(*) AS rows FROM (SELECT count(*) OVER (PARTITION BY high, low) AS guests FROM files WHERE NOT zero) WHERE guests > 1`

/** Those rows, of one content in so many, chosen by its fingerprint: all guests' are chosen alike. */
export const sharedRows = (oneIn: number): string => `
WITH chosen AS (SELECT * FROM files WHERE NOT zero AND (low % ${oneIn} = 0)),
     shared AS (SELECT high, low, row_number() OVER (ORDER BY high, low) - 1 AS content FROM chosen GROUP BY high, low HAVING count(*) > 1)
SELECT host, guest, content::INTEGER AS content FROM chosen JOIN shared USING (high, low) ORDER BY host, guest, content`
