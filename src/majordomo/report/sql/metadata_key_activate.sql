-- From now on copied into indexed_metadata and, with at most $4 values, summed in usage_by_metadata_*. $2: only for these
-- API keys, $3: only for this organisation's.
UPDATE llm_requests_metadata_keys
SET is_active = true, activated_at = now(),
    rollup_stopped_at = CASE WHEN approx_cardinality > $4::int THEN coalesce(rollup_stopped_at, now()) END
WHERE key_name = $1 AND NOT is_active AND ($2::uuid[] IS NULL OR majordomo_api_key_id = ANY ($2))
    AND ($3::uuid IS NULL OR org_id = $3)
RETURNING majordomo_api_key_id
