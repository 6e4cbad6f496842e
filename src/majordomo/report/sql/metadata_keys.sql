-- Observed metadata keys, most used first. $1: only those of these API keys, $2: of this organisation, $3: of this name.
-- What a backfill did for an earlier activation does not count.
SELECT
    m.majordomo_api_key_id, k.name AS api_key_name, m.key_name, m.display_name, m.key_type, m.is_active, m.activated_at,
    m.request_count, m.approx_cardinality, m.last_seen_at, m.rollup_stopped_at, m.created_at,
    b.started_at AS backfill_started_at, b.finished_at AS backfill_finished_at,
    coalesce(b.rows_total, 0) AS rows_total, coalesce(b.rows_seen, 0) AS rows_seen, coalesce(b.rows_filled, 0) AS rows_filled
FROM llm_requests_metadata_keys m
LEFT JOIN api_keys k ON k.id = m.majordomo_api_key_id
LEFT JOIN metadata_backfills b ON b.majordomo_api_key_id = m.majordomo_api_key_id AND b.key_name = m.key_name
    AND b.org_id = m.org_id AND b.activated_at = m.activated_at
WHERE ($1::uuid[] IS NULL OR m.majordomo_api_key_id = ANY ($1)) AND ($2::uuid IS NULL OR m.org_id = $2)
    AND ($3::text IS NULL OR m.key_name = $3)
ORDER BY m.request_count DESC, m.key_name, m.majordomo_api_key_id
