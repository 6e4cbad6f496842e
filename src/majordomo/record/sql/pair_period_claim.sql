-- Somebody begins to sum an hour or day; whoever writes rows of it takes the claim away.
UPDATE pair_periods SET claimed_at = clock_timestamp()
WHERE org_id = $1 AND tier = $2 AND bucket_start = $3
RETURNING claimed_at
