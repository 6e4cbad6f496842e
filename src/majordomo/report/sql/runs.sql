-- Some agent runs, the last seen first.
SELECT
    r.trace_id AS run,
    min(r.requested_at) AS first_at,
    max(r.requested_at) AS last_at,
    max(coalesce(r.responded_at, r.requested_at)) AS ended_at,
    count(DISTINCT r.span_path) AS spans,
    {sums}
FROM {source}
CROSS JOIN LATERAL (SELECT {amounts}) a
WHERE r.trace_id IS NOT NULL AND r.trace_id = ANY ({names}) AND {conditions}
GROUP BY r.trace_id
ORDER BY last_at DESC, r.trace_id DESC
