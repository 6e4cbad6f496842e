-- Values of metadata keys ($2) of organisation $1: those of the newest $4 requests, and of the last request that had the
-- key ($3), each cut to $5 characters.
WITH newest AS MATERIALIZED (
    SELECT raw_metadata, requested_at
    FROM llm_requests
    WHERE org_id = $1 AND requested_at > now() - interval '30 days'
    ORDER BY requested_at DESC
    LIMIT $4
), found AS (
    SELECT name, n.requested_at, n.raw_metadata ->> name AS value
    FROM newest n CROSS JOIN LATERAL jsonb_object_keys(n.raw_metadata) AS name
    WHERE name = ANY ($2::text[])
    UNION ALL
    SELECT asked.name, last.requested_at, last.value
    FROM unnest($2::text[], $3::timestamptz[]) AS asked (name, last_seen_at)
    CROSS JOIN LATERAL (
        SELECT requested_at, raw_metadata ->> asked.name AS value
        FROM llm_requests
        WHERE org_id = $1 AND raw_metadata ? asked.name
            AND requested_at BETWEEN last_seen_at - interval '1 ms' AND last_seen_at + interval '1 ms'
        LIMIT 1
    ) last
)
SELECT name, left(value, $5) AS value, max(requested_at) AS seen_at
FROM found
GROUP BY 1, 2
ORDER BY seen_at DESC, value
