-- Summing an hour or day came to nothing: it rests $4 seconds.
UPDATE pair_periods SET claimed_at = NULL, rest_until = now() + $4 * interval '1 second'
WHERE org_id = $1 AND tier = $2 AND bucket_start = $3
