-- The counts of one budget's present window, fullest first, with what is leased of each. $2 to $3: the window's first
-- and last beginnings of counts; $4: what its leases are kept under. Counts nobody has used yet may be leased already.
WITH used AS (
    SELECT each_value, sum(spent) AS spent, sum(requests)::bigint AS requests, sum(unpriced)::bigint AS unpriced,
        min(window_start) FILTER (WHERE spent > 0) AS first_start
    FROM budget_cells WHERE budget_id = $1 AND window_start BETWEEN $2 AND $3
    GROUP BY each_value
), held AS (
    SELECT each_value, sum(amount) AS leased, sum(at_risk) AS at_risk
    FROM budget_leases WHERE budget_id = $1 AND window_start = $4 AND expires_at > clock_timestamp()
    GROUP BY each_value
)
SELECT each_value, coalesce(spent, 0) AS spent, coalesce(leased, 0) AS leased, coalesce(at_risk, 0) AS at_risk,
    coalesce(requests, 0) AS requests, coalesce(unpriced, 0) AS unpriced, first_start, count(*) OVER () AS counts
FROM used FULL JOIN held USING (each_value)
WHERE $5::text IS NULL OR each_value = $5
ORDER BY coalesce(spent, 0) DESC, coalesce(leased, 0) DESC, each_value
LIMIT $6
