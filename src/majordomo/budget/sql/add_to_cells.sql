-- Adds a batch's sums to the counts, in one order for all writers: two never wait for each other in a ring.
INSERT INTO budget_cells AS present (budget_id, each_value, window_start, spent, requests, unpriced)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::numeric[], $5::bigint[], $6::bigint[])
    AS given (budget_id, each_value, window_start, spent, requests, unpriced)
ORDER BY budget_id, each_value, window_start
ON CONFLICT (budget_id, each_value, window_start) DO UPDATE SET
    spent = present.spent + excluded.spent,
    requests = present.requests + excluded.requests,
    unpriced = present.unpriced + excluded.unpriced,
    updated_at = clock_timestamp()
