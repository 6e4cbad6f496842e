-- Sessions that went on in a time, newest first. Filled in: the conditions, which requests one of its own must be among.
SELECT s.id, s.majordomo_api_key_id, k.name AS key_name, s.session_name, s.started_at, s.ended_at, s.total_requests,
    s.total_input_tokens, s.total_output_tokens, s.total_cost, s.created_at, s.source, s.last_request_at, s.usage_cost,
    s.ended_by
FROM claude_sessions s
LEFT JOIN api_keys k ON k.id = s.majordomo_api_key_id
WHERE {conditions}
ORDER BY s.started_at DESC, s.id DESC
LIMIT {limit} OFFSET {offset}
