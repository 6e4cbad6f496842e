-- Since when every API key that ever sent metadata key $1 has it in the sums; not for all if some has not.
SELECT
    coalesce(bool_and(is_active AND rollup_stopped_at IS NULL), true) AS everywhere,
    max(activated_at) AS since
FROM llm_requests_metadata_keys
WHERE key_name = $1 AND ($2::uuid[] IS NULL OR majordomo_api_key_id = ANY ($2))
