-- Copies metadata key $7 into the index where a row of this stretch has it and the index has not, and tells what these rows
-- add to the sums, as the writer counts it. Who changes rows locks them by time.
WITH lacking AS (
    SELECT id, requested_at, org_id
    FROM llm_requests
    WHERE majordomo_api_key_id = $1 AND org_id = $2
        AND requested_at BETWEEN $3 AND $5 AND (requested_at, id) > ($3, $4) AND (requested_at, id) <= ($5, $6)
        AND raw_metadata ? $7 AND NOT indexed_metadata ? $7
    ORDER BY requested_at, id
    FOR NO KEY UPDATE
)
UPDATE llm_requests r
SET indexed_metadata = r.indexed_metadata || jsonb_build_object($7::text, r.raw_metadata -> $7)
FROM lacking
WHERE r.id = lacking.id AND r.requested_at = lacking.requested_at AND r.org_id = lacking.org_id
    AND r.requested_at BETWEEN $3 AND $5
RETURNING
    r.requested_at,
    r.raw_metadata ->> $7 AS value,
    {amounts}
