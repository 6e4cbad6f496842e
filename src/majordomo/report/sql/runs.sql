-- Agent runs, the last seen first; behind a cursor only those seen before it.
SELECT
    r.trace_id AS run,
    min(r.requested_at) AS first_at,
    max(r.requested_at) AS last_at,
    max(coalesce(r.responded_at, r.requested_at)) AS ended_at,
    count(DISTINCT r.span_path) AS spans,
    {sums}
FROM {source}
CROSS JOIN LATERAL (SELECT {amounts}) a
WHERE r.trace_id IS NOT NULL AND {conditions}
GROUP BY r.trace_id
