-- What a front desk still holds, for so much longer. What has run out and is there has been taken by nobody.
WITH told AS (
    SELECT * FROM unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::numeric[])
        AS told (budget_id, each_value, window_start, at_risk)
)
UPDATE budget_leases AS held
SET expires_at = clock_timestamp() + make_interval(secs => $2), at_risk = coalesce((
        SELECT told.at_risk FROM told
        WHERE (told.budget_id, told.each_value, told.window_start)
            = (held.budget_id, held.each_value, held.window_start)), 0)
WHERE held.holder = $1
RETURNING held.budget_id, held.each_value, held.window_start, held.amount, held.settled
