-- What rows have spent is no longer leased: each holder's lease goes down by what its own rows used, never below zero.
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[], $5::numeric[])
        AS given (budget_id, each_value, window_start, holder, used)
), locked AS (
    SELECT held.budget_id, held.each_value, held.window_start, held.holder, given.used
    FROM budget_leases AS held JOIN given USING (budget_id, each_value, window_start, holder)
    ORDER BY held.budget_id, held.each_value, held.window_start, held.holder
    FOR NO KEY UPDATE OF held
)
UPDATE budget_leases AS held
SET amount = greatest(0, held.amount - locked.used), settled = held.settled + locked.used
FROM locked
WHERE (held.budget_id, held.each_value, held.window_start, held.holder)
    = (locked.budget_id, locked.each_value, locked.window_start, locked.holder)
