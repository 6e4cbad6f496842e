-- Adds a batch's histograms to the hourly rows and, in one step, to the daily ones. $1 is the hour as seconds since the
-- epoch.
WITH cells AS MATERIALIZED (
    SELECT to_timestamp(hour_s) AS bucket_start, org_id, dimension, value, response_times, first_byte_times
    FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text::text[], $5::text::numeric[], $6::text::numeric[])
        AS given (hour_s, org_id, dimension, value, response_times, first_byte_times)
), hourly AS (
    INSERT INTO latency_hourly AS present (bucket_start, org_id, dimension, value, response_times, first_byte_times)
    SELECT * FROM cells ORDER BY org_id, dimension, bucket_start, value
    ON CONFLICT (org_id, dimension, bucket_start, value) DO UPDATE SET
        response_times = present.response_times + excluded.response_times,
        first_byte_times = present.first_byte_times + excluded.first_byte_times
)
INSERT INTO latency_daily AS present (bucket_start, org_id, dimension, value, response_times, first_byte_times)
SELECT date_trunc('day', bucket_start AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS day, org_id, dimension, value,
    sum(response_times), sum(first_byte_times)
FROM cells GROUP BY day, org_id, dimension, value
ORDER BY org_id, dimension, day, value
ON CONFLICT (org_id, dimension, bucket_start, value) DO UPDATE SET
    response_times = present.response_times + excluded.response_times,
    first_byte_times = present.first_byte_times + excluded.first_byte_times
