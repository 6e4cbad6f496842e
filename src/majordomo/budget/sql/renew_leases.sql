-- What a front desk still holds, for so much longer. What has run out meanwhile may be another's by now, and stays so.
UPDATE budget_leases SET expires_at = clock_timestamp() + make_interval(secs => $2)
WHERE holder = $1 AND expires_at > clock_timestamp()
RETURNING budget_id, each_value, window_start, amount
