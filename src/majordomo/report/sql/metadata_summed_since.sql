-- Since when every API key of organisation $2 (NULL: of any) that ever sent metadata key $1 has it in the sums; not
-- "everywhere" if some has not, or if one has sent so many names ($3) that this one may be missing from the registry.
SELECT
    coalesce(bool_and(is_active AND rollup_stopped_at IS NULL) FILTER (WHERE key_name = $1), true)
        AND NOT EXISTS (
            SELECT
            FROM llm_requests_metadata_keys
            WHERE $2::uuid IS NULL OR org_id = $2
            GROUP BY majordomo_api_key_id
            HAVING count(*) >= $3::int AND NOT bool_or(key_name = $1)
        ) AS everywhere,
    max(activated_at) FILTER (WHERE key_name = $1) AS since
FROM llm_requests_metadata_keys
WHERE $2::uuid IS NULL OR org_id = $2
