-- When the first and the last request of organisation $1 (NULL: of any) was recorded, also where only sums are left of it.
SELECT
    least(min(r.requested_at), (SELECT min(bucket_start) FROM usage_by_model_daily WHERE $1::uuid IS NULL OR org_id = $1))
        AS first_at,
    greatest(max(r.requested_at), (SELECT max(bucket_start) FROM usage_by_model_hourly WHERE $1::uuid IS NULL OR org_id = $1))
        AS last_at
FROM llm_requests r
WHERE $1::uuid IS NULL OR r.org_id = $1
