-- An hour or day is summed by the dimensions $5, if nobody has written rows of it since it was claimed at $4. It rests $8
-- seconds before it is summed again.
UPDATE pair_periods SET is_current = true, is_due = false, claimed_at = NULL, dimensions = $5, wanted = $6, has_half = $7,
    rest_until = now() + $8 * interval '1 second'
WHERE org_id = $1 AND tier = $2 AND bucket_start = $3 AND claimed_at = $4
RETURNING true
