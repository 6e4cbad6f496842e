-- Sums of cells by a value and a bucket of time. Filled in: cells, SELECTs of value, bucket and the amounts; sums, the
-- amounts summed; place, whether a value stands alone. The others are the rest, and those without a value never are.
WITH cells AS (
    {cells}
), sums AS (
    SELECT value, bucket, {sums}
    FROM cells
    GROUP BY 1, 2
    HAVING sum(requests) <> 0
), ranked AS (
    SELECT sums.*, sum({order}) OVER whole AS weight, sum(requests) OVER whole AS weight_requests
    FROM sums
    WINDOW whole AS (PARTITION BY value)
), placed AS (
    SELECT ranked.*, {place} AS is_shown
    FROM ranked
)
SELECT
    NOT (is_shown OR value IS NULL) AS is_rest,
    CASE WHEN is_shown THEN value END AS value,
    bucket,
    count(DISTINCT value) AS value_count,
    {sums}
FROM placed
GROUP BY 1, 2, 3
