-- The sessions that the rows name, with their totals.
INSERT INTO claude_sessions (
    id, org_id, majordomo_api_key_id, session_name, started_at, ended_at, total_requests, total_input_tokens,
    total_output_tokens, total_cost, source, last_request_at, ended_by
)
SELECT claude_session_id, org_id, majordomo_api_key_id, 'session', min(requested_at), max(requested_at), count(*),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(total_cost), 0), 'companion', max(requested_at), 'owner'
FROM llm_requests WHERE claude_session_id IS NOT NULL
GROUP BY 1, 2, 3
