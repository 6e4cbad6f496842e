-- Since when every API key that ever sent metadata key $1 has it in the sums; not "everywhere" if some has not, or if
-- one has sent so many names ($3) that this one may have been left out of the registry.
SELECT
    coalesce(bool_and(is_active AND rollup_stopped_at IS NULL) FILTER (WHERE key_name = $1), true)
        AND NOT EXISTS (
            SELECT
            FROM llm_requests_metadata_keys
            WHERE $2::uuid[] IS NULL OR majordomo_api_key_id = ANY ($2)
            GROUP BY majordomo_api_key_id
            HAVING count(*) >= $3::int AND NOT bool_or(key_name = $1)
        ) AS everywhere,
    max(CASE WHEN b.finished_at IS NULL THEN m.activated_at ELSE '1970-01-01 00:00:00+00' END)
        FILTER (WHERE key_name = $1) AS since
FROM llm_requests_metadata_keys m
LEFT JOIN metadata_backfills b USING (majordomo_api_key_id, key_name, org_id, activated_at)
WHERE $2::uuid[] IS NULL OR majordomo_api_key_id = ANY ($2)
