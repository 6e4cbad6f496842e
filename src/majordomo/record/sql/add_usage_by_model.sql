-- Adds a batch's sums to the hourly rows and, in one step, to the daily ones. $1 is the hour as seconds since the
-- epoch; costs come as text, because a sum of them may exceed every integer type.
WITH cells AS MATERIALIZED (
    SELECT to_timestamp(hour_s) AS bucket_start, org_id, majordomo_api_key_id, provider, model,
        requests, errors, unpriced, timed_requests, response_time_ms, input_tokens,
        output_tokens, cached_tokens, cache_creation_tokens, reasoning_tokens, prompt_tokens,
        input_cost::numeric AS input_cost,
        output_cost::numeric AS output_cost,
        cache_read_cost::numeric AS cache_read_cost,
        cache_creation_cost::numeric AS cache_creation_cost,
        tool_cost::numeric AS tool_cost,
        total_cost::numeric AS total_cost
    FROM unnest(
        $1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::text[],
        $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
        $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
        $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[]
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
