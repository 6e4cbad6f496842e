-- A front desk does not need all that it holds.
UPDATE budget_leases AS held SET amount = greatest(0, held.amount - given.amount)
FROM unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::numeric[])
    AS given (budget_id, each_value, window_start, amount)
WHERE (held.budget_id, held.each_value, held.window_start, held.holder)
    = (given.budget_id, given.each_value, given.window_start, $1::uuid)
