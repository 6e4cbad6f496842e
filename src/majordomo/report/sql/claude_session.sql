-- One session; $2, $3 NULL: whatever key, whatever organisation owns it.
SELECT s.id, s.majordomo_api_key_id, k.name AS key_name, s.session_name, s.started_at, s.ended_at, s.total_requests,
    s.total_input_tokens, s.total_output_tokens, s.total_cost, s.created_at, s.source, s.last_request_at, s.usage_cost,
    s.ended_by
FROM claude_sessions s
LEFT JOIN api_keys k ON k.id = s.majordomo_api_key_id
WHERE s.id = $1 AND ($2::uuid IS NULL OR s.majordomo_api_key_id = $2)
    AND ($3::uuid IS NULL OR s.org_id = $3)
