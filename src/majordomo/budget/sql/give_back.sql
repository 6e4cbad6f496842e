-- A front desk does not need all that it holds.
UPDATE budget_leases SET amount = greatest(0, amount - $5)
WHERE budget_id = $1 AND each_value = $2 AND window_start = $3 AND holder = $4
