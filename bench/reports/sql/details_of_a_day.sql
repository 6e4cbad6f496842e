-- What is kept besides of that day's Claude Code requests.
INSERT INTO claude_request_details (
    id, org_id, llm_request_id, session_id, message_count, user_message_count, assistant_message_count, tool_names,
    tool_use_count, has_thinking, is_plan_mode, stop_reason, created_at, query_class
)
SELECT r.id, r.org_id, r.id, r.claude_session_id, 3 + d.n % 40, 2 + d.n % 20, 1 + d.n % 20,
    (ARRAY['{Bash}', '{Read}', '{Edit,Read}', '{}', '{Grep,Read}'])[1 + d.n % 5]::text[], 1 + d.n % 2, d.n % 3 = 0, d.n % 20 = 0,
    'end_turn', r.requested_at, (ARRAY['main', 'main', 'main', 'subagent', 'title'])[1 + d.n % 5]
FROM llm_requests r
CROSS JOIN LATERAL (SELECT (hashtext(r.id::text) & 65535) AS n) d
WHERE r.requested_at >= $1 AND r.requested_at < $1 + interval '1 day' AND r.claude_session_id IS NOT NULL
