-- The counts that changed since $3, of those that matter at present: $1 budgets, $2 where what counts now begins.
SELECT DISTINCT c.budget_id, c.each_value
FROM unnest($1::uuid[], $2::timestamptz[]) AS present (budget_id, counted_from)
JOIN budget_cells c ON c.budget_id = present.budget_id AND c.window_start >= present.counted_from
WHERE c.updated_at > $3
LIMIT 10000
