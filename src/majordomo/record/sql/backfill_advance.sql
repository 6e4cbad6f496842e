-- Moves a run's position; $8: it has come to its end.
UPDATE metadata_backfills SET
    after_at = $4,
    after_id = $5,
    rows_seen = rows_seen + $6,
    rows_filled = rows_filled + $7,
    updated_at = now(),
    finished_at = CASE WHEN $8 THEN now() END
WHERE majordomo_api_key_id = $1 AND key_name = $2 AND org_id = $3
