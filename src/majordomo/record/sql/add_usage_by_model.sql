-- Adds a batch's sums to the hourly rows and, in one step, to the daily ones. $1 is the hour as seconds since the
-- epoch. All come as array literals: parsing one costs less than packing and unpacking its elements.
WITH cells AS MATERIALIZED (
    SELECT to_timestamp(hour_s) AS bucket_start, org_id, majordomo_api_key_id, provider, model,
        requests, errors, unpriced, timed_requests, response_time_ms, input_tokens,
        output_tokens, cached_tokens, cache_creation_tokens, reasoning_tokens, prompt_tokens,
        input_cost,
        output_cost,
        cache_read_cost,
        cache_creation_cost,
        tool_cost,
        total_cost
    FROM unnest(
        $1::text::bigint[], $2::text::uuid[], $3::text::uuid[], $4::text::text[], $5::text::text[],
        $6::text::bigint[], $7::text::bigint[], $8::text::bigint[], $9::text::bigint[], $10::text::bigint[], $11::text::bigint[],
        $12::text::bigint[], $13::text::bigint[], $14::text::bigint[], $15::text::bigint[], $16::text::bigint[],
        $17::text::numeric[], $18::text::numeric[], $19::text::numeric[], $20::text::numeric[], $21::text::numeric[], $22::text::numeric[]
    ) AS given (
        hour_s, org_id, majordomo_api_key_id, provider, model, requests, errors, unpriced, timed_requests, response_time_ms,
        input_tokens, output_tokens, cached_tokens, cache_creation_tokens, reasoning_tokens, prompt_tokens,
        input_cost, output_cost, cache_read_cost, cache_creation_cost, tool_cost, total_cost
    )
), hourly AS (
    INSERT INTO usage_by_model_hourly AS present (
        bucket_start, org_id, majordomo_api_key_id, provider, model,
        requests, errors, unpriced, timed_requests, response_time_ms, input_tokens, output_tokens, cached_tokens,
        cache_creation_tokens, reasoning_tokens, prompt_tokens, input_cost, output_cost, cache_read_cost,
        cache_creation_cost, tool_cost, total_cost
    )
    SELECT * FROM cells ORDER BY bucket_start, majordomo_api_key_id, provider, model, org_id
    ON CONFLICT (bucket_start, majordomo_api_key_id, provider, model, org_id) DO UPDATE SET
        requests = present.requests + excluded.requests,
        errors = present.errors + excluded.errors,
        unpriced = present.unpriced + excluded.unpriced,
        timed_requests = present.timed_requests + excluded.timed_requests,
        response_time_ms = present.response_time_ms + excluded.response_time_ms,
        input_tokens = present.input_tokens + excluded.input_tokens,
        output_tokens = present.output_tokens + excluded.output_tokens,
        cached_tokens = present.cached_tokens + excluded.cached_tokens,
        cache_creation_tokens = present.cache_creation_tokens + excluded.cache_creation_tokens,
        reasoning_tokens = present.reasoning_tokens + excluded.reasoning_tokens,
        prompt_tokens = present.prompt_tokens + excluded.prompt_tokens,
        input_cost = present.input_cost + excluded.input_cost,
        output_cost = present.output_cost + excluded.output_cost,
        cache_read_cost = present.cache_read_cost + excluded.cache_read_cost,
        cache_creation_cost = present.cache_creation_cost + excluded.cache_creation_cost,
        tool_cost = present.tool_cost + excluded.tool_cost,
        total_cost = present.total_cost + excluded.total_cost
)
INSERT INTO usage_by_model_daily AS present (
    bucket_start, org_id, majordomo_api_key_id, provider, model,
    requests, errors, unpriced, timed_requests, response_time_ms, input_tokens, output_tokens, cached_tokens,
    cache_creation_tokens, reasoning_tokens, prompt_tokens, input_cost, output_cost, cache_read_cost,
    cache_creation_cost, tool_cost, total_cost
)
SELECT date_trunc('day', bucket_start AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS day, org_id, majordomo_api_key_id, provider, model,
    sum(requests),
    sum(errors),
    sum(unpriced),
    sum(timed_requests),
    sum(response_time_ms),
    sum(input_tokens),
    sum(output_tokens),
    sum(cached_tokens),
    sum(cache_creation_tokens),
    sum(reasoning_tokens),
    sum(prompt_tokens),
    sum(input_cost),
    sum(output_cost),
    sum(cache_read_cost),
    sum(cache_creation_cost),
    sum(tool_cost),
    sum(total_cost)
FROM cells GROUP BY day, org_id, majordomo_api_key_id, provider, model
ORDER BY day, majordomo_api_key_id, provider, model, org_id
ON CONFLICT (bucket_start, majordomo_api_key_id, provider, model, org_id) DO UPDATE SET
    requests = present.requests + excluded.requests,
    errors = present.errors + excluded.errors,
    unpriced = present.unpriced + excluded.unpriced,
    timed_requests = present.timed_requests + excluded.timed_requests,
    response_time_ms = present.response_time_ms + excluded.response_time_ms,
    input_tokens = present.input_tokens + excluded.input_tokens,
    output_tokens = present.output_tokens + excluded.output_tokens,
    cached_tokens = present.cached_tokens + excluded.cached_tokens,
    cache_creation_tokens = present.cache_creation_tokens + excluded.cache_creation_tokens,
    reasoning_tokens = present.reasoning_tokens + excluded.reasoning_tokens,
    prompt_tokens = present.prompt_tokens + excluded.prompt_tokens,
    input_cost = present.input_cost + excluded.input_cost,
    output_cost = present.output_cost + excluded.output_cost,
    cache_read_cost = present.cache_read_cost + excluded.cache_read_cost,
    cache_creation_cost = present.cache_creation_cost + excluded.cache_creation_cost,
    tool_cost = present.tool_cost + excluded.tool_cost,
    total_cost = present.total_cost + excluded.total_cost
