-- Hours and days that ended before $1 and are to be summed; the newest first, at most $2, and how many there are. A day
-- waits for its hours.
SELECT p.org_id, p.tier, p.bucket_start, count(*) OVER () AS waiting
FROM pair_periods p
WHERE p.is_due AND p.rest_until < now()
    AND p.bucket_start + CASE p.tier WHEN 'hourly' THEN interval '1 hour' ELSE interval '1 day' END <= $1
    AND (p.tier = 'hourly' OR NOT EXISTS (
        SELECT FROM pair_periods h
        WHERE h.org_id = p.org_id AND h.tier = 'hourly' AND h.is_due
            AND h.bucket_start >= p.bucket_start AND h.bucket_start < p.bucket_start + interval '1 day'
    ))
ORDER BY p.bucket_start DESC
LIMIT $2
