-- Sessions with requests in the scope, the last asked in first; sums over these requests alone.
SELECT s.id, s.majordomo_api_key_id, k.name AS key_name, s.session_name, s.started_at, s.ended_at, s.ended_by, s.source,
    a.requests, a.total_cost, a.usage_cost, a.prompt_tokens, a.output_tokens, a.last_at
FROM (
    SELECT r.claude_session_id AS id, r.majordomo_api_key_id AS key_id, count(*) AS requests,
        coalesce(sum(r.total_cost), 0) AS total_cost, coalesce(sum(d.usage_cost), 0) AS usage_cost,
        coalesce(sum(r.prompt_tokens), 0)::bigint AS prompt_tokens,
        coalesce(sum(r.output_tokens), 0)::bigint AS output_tokens, max(r.requested_at) AS last_at
    FROM {source}
    WHERE r.claude_session_id IS NOT NULL AND {conditions}
    GROUP BY 1, 2
) a
JOIN claude_sessions s ON s.id = a.id AND s.majordomo_api_key_id = a.key_id
LEFT JOIN api_keys k ON k.id = a.key_id
WHERE {behind}
ORDER BY a.last_at DESC, s.id DESC
LIMIT {limit}
