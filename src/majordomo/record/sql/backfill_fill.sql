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
    1 AS requests,
    (coalesce(r.status_code >= 400, false)
        OR r.outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost'))::int AS errors,
    (r.total_cost IS NULL AND r.usage_state <> 'none')::int AS unpriced,
    (r.response_time_ms IS NOT NULL)::int AS timed_requests,
    coalesce(r.response_time_ms, 0) AS response_time_ms,
    coalesce(r.input_tokens, 0) AS input_tokens,
    coalesce(r.output_tokens, 0) AS output_tokens,
    coalesce(r.cached_tokens, 0) AS cached_tokens,
    coalesce(r.cache_creation_tokens, 0) AS cache_creation_tokens,
    coalesce(r.reasoning_tokens, 0) AS reasoning_tokens,
    coalesce(r.prompt_tokens, 0) AS prompt_tokens,
    coalesce(r.input_cost, 0) AS input_cost,
    coalesce(r.output_cost, 0) AS output_cost,
    coalesce(r.cache_read_cost, 0) AS cache_read_cost,
    coalesce(r.cache_creation_cost, 0) AS cache_creation_cost,
    coalesce(r.tool_cost, 0) AS tool_cost,
    coalesce(r.total_cost, 0) AS total_cost
