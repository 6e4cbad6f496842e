-- Usage by the values of one metadata key ($1); rows without the key are one row with a NULL value.
-- Parameters and pieces of time as in usage_by.sql. In the sums, rows without the key are what is left when those with
-- it are taken from all; so the rows always add up to the total.
WITH cells AS (
    SELECT
        raw_metadata ->> $1::text AS value,
        1 AS requests,
        (coalesce(status_code >= 400, false)
            OR outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost'))::int AS errors,
        (total_cost IS NULL AND usage_state <> 'none')::int AS unpriced,
        (response_time_ms IS NOT NULL)::int AS timed_requests,
        coalesce(response_time_ms, 0) AS response_time_ms,
        coalesce(input_tokens, 0) AS input_tokens,
        coalesce(output_tokens, 0) AS output_tokens,
        coalesce(cached_tokens, 0) AS cached_tokens,
        coalesce(cache_creation_tokens, 0) AS cache_creation_tokens,
        coalesce(reasoning_tokens, 0) AS reasoning_tokens,
        coalesce(prompt_tokens, 0) AS prompt_tokens,
        coalesce(input_cost, 0) AS input_cost,
        coalesce(output_cost, 0) AS output_cost,
        coalesce(cache_read_cost, 0) AS cache_read_cost,
        coalesce(cache_creation_cost, 0) AS cache_creation_cost,
        coalesce(tool_cost, 0) AS tool_cost,
        coalesce(total_cost, 0) AS total_cost
    FROM llm_requests
    WHERE (requested_at >= $7::timestamptz AND requested_at < $8::timestamptz
            OR requested_at >= $9::timestamptz AND requested_at < $10::timestamptz)
        AND ($3::uuid[] IS NULL OR majordomo_api_key_id = ANY ($3))
        AND ($4::text IS NULL OR provider = $4)
        AND ($5::text IS NULL OR coalesce(model, '') = $5)
        AND ($6::jsonb IS NULL OR raw_metadata @> $6)
    UNION ALL
    SELECT
        key_value,
        requests, errors, unpriced, timed_requests, response_time_ms, input_tokens, output_tokens,
        cached_tokens, cache_creation_tokens, reasoning_tokens, prompt_tokens, input_cost, output_cost,
        cache_read_cost, cache_creation_cost, tool_cost, total_cost
    FROM usage_by_metadata_hourly
    WHERE (bucket_start >= $11::timestamptz AND bucket_start < $12::timestamptz
            OR bucket_start >= $13::timestamptz AND bucket_start < $14::timestamptz)
        AND key_name = $1
        AND ($3::uuid[] IS NULL OR majordomo_api_key_id = ANY ($3))
    UNION ALL
    SELECT
        NULL,
        -requests, -errors, -unpriced, -timed_requests, -response_time_ms, -input_tokens, -output_tokens,
        -cached_tokens, -cache_creation_tokens, -reasoning_tokens, -prompt_tokens, -input_cost, -output_cost,
        -cache_read_cost, -cache_creation_cost, -tool_cost, -total_cost
    FROM usage_by_metadata_hourly
    WHERE (bucket_start >= $11::timestamptz AND bucket_start < $12::timestamptz
            OR bucket_start >= $13::timestamptz AND bucket_start < $14::timestamptz)
        AND key_name = $1
        AND ($3::uuid[] IS NULL OR majordomo_api_key_id = ANY ($3))
    UNION ALL
    SELECT
        NULL,
        requests, errors, unpriced, timed_requests, response_time_ms, input_tokens, output_tokens,
        cached_tokens, cache_creation_tokens, reasoning_tokens, prompt_tokens, input_cost, output_cost,
        cache_read_cost, cache_creation_cost, tool_cost, total_cost
    FROM usage_by_model_hourly
    WHERE (bucket_start >= $11::timestamptz AND bucket_start < $12::timestamptz
            OR bucket_start >= $13::timestamptz AND bucket_start < $14::timestamptz)
        AND ($3::uuid[] IS NULL OR majordomo_api_key_id = ANY ($3))
    UNION ALL
    SELECT
        key_value,
        requests, errors, unpriced, timed_requests, response_time_ms, input_tokens, output_tokens,
        cached_tokens, cache_creation_tokens, reasoning_tokens, prompt_tokens, input_cost, output_cost,
        cache_read_cost, cache_creation_cost, tool_cost, total_cost
    FROM usage_by_metadata_daily
    WHERE bucket_start >= $15::timestamptz AND bucket_start < $16::timestamptz
        AND key_name = $1
        AND ($3::uuid[] IS NULL OR majordomo_api_key_id = ANY ($3))
    UNION ALL
    SELECT
        NULL,
        -requests, -errors, -unpriced, -timed_requests, -response_time_ms, -input_tokens, -output_tokens,
        -cached_tokens, -cache_creation_tokens, -reasoning_tokens, -prompt_tokens, -input_cost, -output_cost,
        -cache_read_cost, -cache_creation_cost, -tool_cost, -total_cost
    FROM usage_by_metadata_daily
    WHERE bucket_start >= $15::timestamptz AND bucket_start < $16::timestamptz
        AND key_name = $1
        AND ($3::uuid[] IS NULL OR majordomo_api_key_id = ANY ($3))
    UNION ALL
    SELECT
        NULL,
        requests, errors, unpriced, timed_requests, response_time_ms, input_tokens, output_tokens,
        cached_tokens, cache_creation_tokens, reasoning_tokens, prompt_tokens, input_cost, output_cost,
        cache_read_cost, cache_creation_cost, tool_cost, total_cost
    FROM usage_by_model_daily
    WHERE bucket_start >= $15::timestamptz AND bucket_start < $16::timestamptz
        AND ($3::uuid[] IS NULL OR majordomo_api_key_id = ANY ($3))
), sums AS (
    SELECT
        value,
        sum(requests)::bigint AS requests,
        sum(errors)::bigint AS errors,
        sum(unpriced)::bigint AS unpriced,
        sum(timed_requests)::bigint AS timed_requests,
        sum(response_time_ms)::bigint AS response_time_ms,
        sum(input_tokens)::bigint AS input_tokens,
        sum(output_tokens)::bigint AS output_tokens,
        sum(cached_tokens)::bigint AS cached_tokens,
        sum(cache_creation_tokens)::bigint AS cache_creation_tokens,
        sum(reasoning_tokens)::bigint AS reasoning_tokens,
        sum(prompt_tokens)::bigint AS prompt_tokens,
        sum(input_cost)::numeric AS input_cost,
        sum(output_cost)::numeric AS output_cost,
        sum(cache_read_cost)::numeric AS cache_read_cost,
        sum(cache_creation_cost)::numeric AS cache_creation_cost,
        sum(tool_cost)::numeric AS tool_cost,
        sum(total_cost)::numeric AS total_cost
    FROM cells
    GROUP BY 1
    HAVING sum(requests) <> 0
), ranked AS (
    SELECT sums.*, row_number() OVER (ORDER BY total_cost DESC, requests DESC, value NULLS LAST) AS place
    FROM sums
)
SELECT
    place > $2 AS is_rest,
    CASE WHEN place <= $2 THEN value END AS value,
    count(*) AS value_count,
    sum(requests)::bigint AS requests,
    sum(errors)::bigint AS errors,
    sum(unpriced)::bigint AS unpriced,
    sum(timed_requests)::bigint AS timed_requests,
    sum(response_time_ms)::bigint AS response_time_ms,
    sum(input_tokens)::bigint AS input_tokens,
    sum(output_tokens)::bigint AS output_tokens,
    sum(cached_tokens)::bigint AS cached_tokens,
    sum(cache_creation_tokens)::bigint AS cache_creation_tokens,
    sum(reasoning_tokens)::bigint AS reasoning_tokens,
    sum(prompt_tokens)::bigint AS prompt_tokens,
    sum(input_cost)::numeric AS input_cost,
    sum(output_cost)::numeric AS output_cost,
    sum(cache_read_cost)::numeric AS cache_read_cost,
    sum(cache_creation_cost)::numeric AS cache_creation_cost,
    sum(tool_cost)::numeric AS tool_cost,
    sum(total_cost)::numeric AS total_cost
FROM ranked
GROUP BY 1, 2
ORDER BY min(place)
