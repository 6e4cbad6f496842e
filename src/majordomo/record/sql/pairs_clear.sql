-- The cells of one hour or day ($3) of organisation $1, by the dimensions that its sums ($2) are by.
DELETE FROM usage_by_pair_{tier} u
USING pair_periods p
WHERE p.org_id = $1 AND p.tier = $2 AND p.bucket_start = $3 AND u.org_id = p.org_id AND u.bucket_start = p.bucket_start
    AND u.first_dimension = ANY (p.dimensions) AND u.second_dimension = ANY (p.dimensions)
