-- Where the run for an activation stands, locked; nothing if the key is no longer active, or was activated anew.
SELECT b.after_at, b.after_id, b.rows_seen, b.rows_total, m.rollup_stopped_at IS NULL AS summed
FROM metadata_backfills b
JOIN llm_requests_metadata_keys m USING (majordomo_api_key_id, key_name, org_id)
WHERE b.majordomo_api_key_id = $1 AND b.key_name = $2 AND b.org_id = $3 AND b.activated_at = $4
    AND m.is_active AND m.activated_at = $4 AND b.finished_at IS NULL
FOR UPDATE OF b
