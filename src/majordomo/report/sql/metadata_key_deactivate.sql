UPDATE llm_requests_metadata_keys
SET is_active = false, activated_at = NULL
WHERE key_name = $1 AND is_active AND ($2::uuid[] IS NULL OR majordomo_api_key_id = ANY ($2))
RETURNING majordomo_api_key_id
