-- The requests of one day ($1 midnight UTC): $2 of them, numbered from $3, in the order of their time. $4, $5: gateway
-- keys and their organisations; $6: which share of the traffic ends with each of them. Everything is a hash of the
-- number, so that two runs make the same rows. Spread over the day as people work, peaking at 14:00.
INSERT INTO llm_requests (
    id, org_id, majordomo_api_key_id, provider_api_key_hash, provider, model, requested_model, api, request_path,
    request_method, requested_at, responded_at, response_time_ms, time_to_first_byte_ms, status_code, outcome, streamed,
    input_tokens, output_tokens, cached_tokens, cache_creation_tokens, reasoning_tokens, prompt_tokens, usage_state,
    usage, service_tier, input_cost, output_cost, cache_read_cost, cache_creation_cost, tool_cost, total_cost,
    price_version, model_alias_found, billed, error_type, error_message, raw_metadata, indexed_metadata, client,
    claude_session_id, trace_id, span_path, span_name
)
SELECT
    (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(noise, 1, 3) || 'a' || substr(noise, 4, 15))::uuid,
    ($5::uuid[])[key_at], ($4::uuid[])[key_at], repeat(substr(md5(key_at::text), 1, 16), 4),
    provider, model, model, api, path, 'POST', at, at + ms * interval '1 ms', ms, CASE WHEN used THEN first_ms END,
    CASE WHEN outcome <> 'lost' THEN status END, outcome, streamed,
    CASE WHEN used THEN CASE WHEN provider = 'anthropic' THEN fresh ELSE fresh + cached END END,
    CASE WHEN used THEN output END, CASE WHEN used THEN cached END, CASE WHEN used THEN created END,
    CASE WHEN used THEN 0 END, CASE WHEN used THEN fresh + cached + created END,
    CASE WHEN NOT used THEN 'none' WHEN outcome = 'client_closed' THEN 'estimated' ELSE 'final' END,
    CASE WHEN used THEN jsonb_build_object('prompt_tokens', fresh + cached, 'completion_tokens', output,
        'total_tokens', fresh + cached + output, 'prompt_tokens_details', jsonb_build_object('cached_tokens', cached)) END,
    CASE WHEN used THEN 'default' END,
    CASE WHEN priced THEN fresh * rates[1] / 1e6 END, CASE WHEN priced THEN output * rates[2] / 1e6 END,
    CASE WHEN priced THEN cached * rates[3] / 1e6 END, CASE WHEN priced THEN created * rates[4] / 1e6 END,
    CASE WHEN priced THEN 0 END,
    CASE WHEN priced THEN trim_scale((fresh * rates[1] + output * rates[2] + cached * rates[3] + created * rates[4]) / 1e6) END,
    CASE WHEN priced THEN '2026-11-01.0' END, priced,
    CASE WHEN used THEN jsonb_build_object('parts', jsonb_build_array(jsonb_build_object('model', model, 'counts',
        jsonb_build_object('input', fresh, 'cache_read', cached, 'output', output)))) END,
    CASE WHEN status >= 400 THEN error_type END, CASE WHEN status >= 400 THEN 'The provider said ' || error_type END,
    raw, raw - 'Environment' - 'Developer' - 'Project', CASE WHEN is_claude THEN 'claude-code' END,
    CASE WHEN is_claude THEN md5('session ' || n / 1000)::uuid END,
    CASE WHEN is_run THEN 'run-' || n / 300 END,
    CASE WHEN is_run THEN (ARRAY['plan', 'plan/search', 'plan/read', 'write', 'write/review'])[1 + n / 10 % 5] END,
    CASE WHEN is_run THEN (ARRAY['plan', 'search', 'read', 'write', 'review'])[1 + n / 10 % 5] END
FROM generate_series($3::bigint, $3::bigint + $2::bigint - 1) AS numbers (n)
CROSS JOIN LATERAL (
    SELECT n % 10 = 3 AS is_run, n % 10 = 7 AS is_claude, (n - $3 + 0.5) / $2 AS u, md5(n::text) AS noise,
        (hashint8extended(n, 1) & 1048575) / 1048576.0::float8 AS u1, (hashint8extended(n, 2) & 1048575) / 1048576.0::float8 AS u2,
        (hashint8extended(n, 3) & 1048575) / 1048576.0::float8 AS u3, (hashint8extended(n, 4) & 1048575) / 1048576.0::float8 AS u4,
        (hashint8extended(n, 5) & 1048575) / 1048576.0::float8 AS u5, (hashint8extended(n, 6) & 1048575) / 1048576.0::float8 AS u6,
        (hashint8extended(n, 7) & 1048575) / 1048576.0::float8 AS u7, (hashint8extended(n, 8) & 1048575) / 1048576.0::float8 AS u8
) dice
CROSS JOIN LATERAL (
    SELECT
        $1::timestamptz + (u - 0.1 * (sin(2 * pi() * (u - 0.58)) - sin(2 * pi() * -0.58))) * interval '1 day' AS at,
        1 + width_bucket(CASE WHEN is_run THEN (hashint8extended(n / 300, 9) & 1048575) / 1048576.0::float8
            WHEN is_claude THEN (hashint8extended(n / 1000, 9) & 1048575) / 1048576.0::float8 ELSE u1 END, $6::float8[]) AS key_at,
        CASE WHEN is_claude THEN CASE WHEN u2 < 0.8 THEN 1 ELSE 2 END
            ELSE 1 + width_bucket(u2, ARRAY[0.25, 0.4, 0.62, 0.78, 0.93]::float8[]) END AS model_at,
        20 + floor(4000 * u3 * u3)::int AS fresh, CASE WHEN u4 < 0.5 THEN 0 ELSE floor(40000 * (u4 - 0.5) ^ 2)::int * 4 END AS cached,
        1 + floor(1500 * u5 ^ 2)::int AS output, 120 + floor(1200 * u6 ^ 3)::int AS first_ms, u7 < 0.6 AS streamed,
        CASE WHEN u8 < 0.008 THEN 429 WHEN u8 < 0.011 THEN 529 WHEN u8 < 0.013 THEN 400 WHEN u8 < 0.0145 THEN 500 ELSE 200 END AS status,
        CASE WHEN u8 > 0.9999 THEN 'lost' WHEN u8 > 0.99 THEN 'client_closed' ELSE 'completed' END AS outcome,
        u8 >= 0.0145 AND u8 <= 0.9999 AS used,
        u8 >= 0.0165 AND u8 <= 0.9999 AS priced,
        CASE WHEN u8 < 0.008 THEN 'rate_limit_error' WHEN u8 < 0.011 THEN 'overloaded_error' WHEN u8 < 0.013 THEN 'invalid_request_error' ELSE 'api_error' END AS error_type
) first
CROSS JOIN LATERAL (
    SELECT
        (ARRAY['anthropic', 'anthropic', 'openai', 'openai', 'gemini', 'deepseek'])[model_at] AS provider,
        (ARRAY['claude-sonnet-4-5', 'claude-haiku-4-5', 'gpt-5-mini', 'gpt-5', 'gemini-2.5-flash', 'deepseek-chat'])[model_at] AS model,
        (ARRAY['anthropic.messages', 'anthropic.messages', 'openai.chat', 'openai.chat', 'gemini.generate', 'openai.chat'])[model_at] AS api,
        (ARRAY['/v1/messages', '/v1/messages', '/v1/chat/completions', '/v1/chat/completions', '/v1beta/models', '/v1/chat/completions'])[model_at] AS path,
        (ARRAY[ARRAY[3, 15, 0.3, 3.75], ARRAY[1, 5, 0.1, 1.25], ARRAY[0.25, 2, 0.025, 0], ARRAY[1.25, 10, 0.125, 0],
            ARRAY[0.3, 2.5, 0.03, 0], ARRAY[0.28, 0.42, 0.028, 0]])[model_at : model_at][1 : 4] AS nested,
        CASE WHEN model_at <= 2 AND u4 > 0.8 THEN floor(2000 * u7)::int ELSE 0 END AS created,
        first_ms + floor(output * (8 + 30 * u7))::int AS ms,
        jsonb_strip_nulls(jsonb_build_object(
            'Feature', CASE WHEN u5 < 0.95 THEN 'feature-' || floor(20 * u6 ^ 2.2) END,
            'Team', CASE WHEN u3 < 0.92 THEN 'team-' || CASE WHEN u7 < 0.8 THEN key_at % 8 ELSE floor(8 * u4) END END,
            'User-Id', CASE WHEN u4 < 0.97 THEN 'user-' || floor(60000 * u7 ^ 1.8) END,
            'Environment', CASE WHEN u3 < 0.9 THEN 'production' ELSE 'staging' END,
            'Developer', CASE WHEN is_claude THEN 'developer-' || n / 1000 % 40 END,
            'Project', CASE WHEN is_claude THEN 'project-' || n / 1000 % 12 END
        )) AS raw
) second
CROSS JOIN LATERAL (SELECT ARRAY(SELECT unnest(nested)) AS rates) third
