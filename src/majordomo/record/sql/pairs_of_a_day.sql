-- The day [$2, $3) of organisation $1, from its hours: the pairs of the dimensions $4.
INSERT INTO usage_by_pair_daily (
    org_id, bucket_start, first_dimension, second_dimension, first_value, second_value, provider, {columns}
)
SELECT org_id, $2::timestamptz, first_dimension, second_dimension, first_value, second_value, provider, {sums}
FROM usage_by_pair_hourly
WHERE org_id = $1 AND first_dimension = ANY ($4::text[]) AND second_dimension = ANY ($4::text[])
    AND bucket_start >= $2::timestamptz AND bucket_start < $3
GROUP BY 1, 2, 3, 4, 5, 6, 7
