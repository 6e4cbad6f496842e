-- Begins with the rows of one metadata key, or goes on where an earlier run for the same activation came to.
INSERT INTO metadata_backfills AS b (majordomo_api_key_id, key_name, org_id, activated_at, rows_total)
SELECT $1::uuid, $2::text, $3::uuid, $4::timestamptz, coalesce(sum(requests), 0)
FROM usage_by_model_daily
WHERE majordomo_api_key_id = $1 AND org_id = $3
    AND bucket_start >= (SELECT min(requested_at) - interval '1 day' FROM llm_requests WHERE majordomo_api_key_id = $1)
ON CONFLICT (majordomo_api_key_id, key_name, org_id) DO UPDATE SET
    activated_at = excluded.activated_at,
    started_at = now(),
    after_at = '1970-01-01 00:00:00+00',
    after_id = '00000000-0000-0000-0000-000000000000',
    rows_total = excluded.rows_total,
    rows_seen = 0,
    rows_filled = 0,
    updated_at = now(),
    finished_at = NULL
WHERE b.activated_at <> excluded.activated_at
