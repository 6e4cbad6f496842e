-- The cells that begin at $4, of an hour or day ($3) of organisation $1, by the dimensions that its sums ($2) are by.
DELETE FROM usage_by_pair_{table} u
USING pair_periods p
WHERE p.org_id = $1 AND p.tier = $2 AND p.bucket_start = $3 AND u.org_id = p.org_id AND u.bucket_start = $4
    AND u.first_dimension = ANY (p.dimensions) AND u.second_dimension = ANY (p.dimensions)
