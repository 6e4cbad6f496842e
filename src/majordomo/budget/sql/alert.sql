-- Notes that a threshold was reached, unless it was noted already: of a rolling window, for anything that still counts
-- ($7). Says which of several back offices that look at the same count is to tell of it.
INSERT INTO budget_alerts (budget_id, each_value, window_start, threshold, spent, limit_amount)
SELECT $1, $2, $3, $4, $5, $6
WHERE NOT EXISTS (
    SELECT FROM budget_alerts a
    WHERE a.budget_id = $1 AND a.each_value = $2 AND a.threshold = $4 AND a.window_start >= $7
)
ON CONFLICT (budget_id, each_value, window_start, threshold) DO NOTHING
RETURNING id
