-- Observed metadata keys, most used first. $1: only those of these API keys.
SELECT
    m.majordomo_api_key_id, k.name AS api_key_name, m.key_name, m.display_name, m.key_type, m.is_active, m.activated_at,
    m.request_count, m.approx_cardinality, m.last_seen_at, m.rollup_stopped_at, m.created_at
FROM llm_requests_metadata_keys m
LEFT JOIN api_keys k ON k.id = m.majordomo_api_key_id
WHERE $1::uuid[] IS NULL OR m.majordomo_api_key_id = ANY ($1)
ORDER BY m.request_count DESC, m.key_name, m.majordomo_api_key_id
