-- The hours and days in [$2, $3) of organisation $1 (NULL: of any) whose sums are not current, or not by the dimensions $4,
-- or lack the second half of one of the hours $5.
SELECT DISTINCT tier, bucket_start
FROM pair_periods
WHERE ($1::uuid IS NULL OR org_id = $1) AND bucket_start >= $2 AND bucket_start < $3
    AND NOT (is_current AND dimensions @> $4::text[] AND (has_half OR tier = 'daily' OR bucket_start <> ALL ($5::timestamptz[])))
