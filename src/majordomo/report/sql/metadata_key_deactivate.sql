-- $2: only for these API keys, $3: only for this organisation's.
UPDATE llm_requests_metadata_keys
SET is_active = false, activated_at = NULL
WHERE key_name = $1 AND is_active AND ($2::uuid[] IS NULL OR majordomo_api_key_id = ANY ($2))
    AND ($3::uuid IS NULL OR org_id = $3)
RETURNING majordomo_api_key_id
