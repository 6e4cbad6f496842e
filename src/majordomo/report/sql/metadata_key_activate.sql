-- From now on copied into indexed_metadata and summed in usage_by_metadata_*. $2: only for these API keys.
UPDATE llm_requests_metadata_keys
SET is_active = true, activated_at = now(), rollup_stopped_at = NULL
WHERE key_name = $1 AND NOT is_active AND ($2::uuid[] IS NULL OR majordomo_api_key_id = ANY ($2))
RETURNING majordomo_api_key_id
