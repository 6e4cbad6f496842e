-- Active metadata keys whose older rows are not all in their index and sums, the longest active first.
SELECT m.majordomo_api_key_id, m.key_name, m.org_id, m.activated_at
FROM llm_requests_metadata_keys m
LEFT JOIN metadata_backfills b USING (majordomo_api_key_id, key_name, org_id)
WHERE m.is_active AND m.activated_at IS NOT NULL
    AND (b.activated_at IS DISTINCT FROM m.activated_at OR b.finished_at IS NULL)
ORDER BY m.activated_at, m.majordomo_api_key_id, m.key_name
