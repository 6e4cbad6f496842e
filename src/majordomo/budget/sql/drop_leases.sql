-- A front desk is done with these: their windows are over, and all that it used of them is counted.
DELETE FROM budget_leases AS held
USING unnest($2::uuid[], $3::text[], $4::timestamptz[]) AS done (budget_id, each_value, window_start)
WHERE (held.budget_id, held.each_value, held.window_start, held.holder)
    = (done.budget_id, done.each_value, done.window_start, $1::uuid)
