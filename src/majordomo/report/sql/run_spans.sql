-- One agent run ($1) of organisation $2 (NULL: of any), by span; $3 spans at most, the earliest.
SELECT
    coalesce(r.span_path, '') AS path,
    max(r.span_name) AS name,
    min(r.requested_at) AS first_at,
    max(r.requested_at) AS last_at,
    max(coalesce(r.responded_at, r.requested_at)) AS ended_at,
    array_agg(DISTINCT r.model) FILTER (WHERE r.model <> '') AS models,
    count(*) OVER () AS spans,
    {sums}
FROM llm_requests r
CROSS JOIN LATERAL (SELECT {amounts}) a
WHERE r.trace_id = $1 AND ($2::uuid IS NULL OR r.org_id = $2)
GROUP BY 1
ORDER BY first_at, path
LIMIT $3
