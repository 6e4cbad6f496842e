-- What organisation $1 has summed is to be summed again if it was not by all of the dimensions $2; it serves meanwhile.
UPDATE pair_periods SET is_due = true
WHERE org_id = $1 AND NOT is_due AND NOT wanted @> $2::text[]
