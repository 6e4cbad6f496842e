-- The metadata keys that the callers of organisation $1 (NULL: of any) have sent. indexed_since, summed_since: since when
-- every gateway key that sends one has it in indexed_metadata, in the sums; NULL if some has not, or if one has sent so
-- many names ($2) that this one may be missing from its registry. Once older rows are filled in, that is the beginning of time.
WITH full_registries AS (
    SELECT majordomo_api_key_id, array_agg(key_name) AS names
    FROM llm_requests_metadata_keys
    WHERE $1::uuid IS NULL OR org_id = $1
    GROUP BY majordomo_api_key_id
    HAVING count(*) >= $2::int
)
SELECT
    m.key_name,
    bool_or(m.is_active) AS is_active,
    sum(m.request_count)::bigint AS requests,
    max(m.approx_cardinality) AS approx_cardinality,
    max(m.last_seen_at) AS last_seen_at,
    CASE WHEN bool_and(m.is_active) AND bool_and(f.everywhere) THEN max(s.since) END AS indexed_since,
    CASE WHEN bool_and(m.is_active AND m.rollup_stopped_at IS NULL) AND bool_and(f.everywhere)
        THEN max(s.since) END AS summed_since
FROM llm_requests_metadata_keys m
LEFT JOIN metadata_backfills b ON b.majordomo_api_key_id = m.majordomo_api_key_id AND b.key_name = m.key_name
    AND b.org_id = m.org_id AND b.activated_at = m.activated_at AND b.finished_at IS NOT NULL
CROSS JOIN LATERAL (
    SELECT CASE WHEN b.finished_at IS NULL THEN m.activated_at ELSE '1970-01-01 00:00:00+00' END AS since
) s
CROSS JOIN LATERAL (
    SELECT NOT EXISTS (SELECT FROM full_registries r WHERE m.key_name <> ALL (r.names)) AS everywhere
) f
WHERE $1::uuid IS NULL OR m.org_id = $1
GROUP BY m.key_name
ORDER BY requests DESC, m.key_name
