SELECT
    cs.id,
    ak.name as api_key_name,
    cs.started_at,
    cs.ended_at,
    cs.total_requests,
    cs.total_input_tokens,
    cs.total_output_tokens,
    cs.total_cost
FROM claude_sessions cs
JOIN api_keys ak ON cs.majordomo_api_key_id = ak.id
ORDER BY cs.started_at DESC
LIMIT 20;
