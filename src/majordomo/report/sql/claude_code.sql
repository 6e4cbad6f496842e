-- Claude Code's requests in all, with its own details.
SELECT count(*) AS requests, count(DISTINCT r.claude_session_id) AS sessions,
    count(*) FILTER (WHERE d.has_thinking) AS thinking_requests,
    coalesce(sum(r.total_cost) FILTER (WHERE d.has_thinking), 0) AS thinking_cost,
    count(*) FILTER (WHERE d.is_plan_mode) AS plan_mode_requests,
    coalesce(sum(r.total_cost) FILTER (WHERE d.is_plan_mode), 0) AS plan_mode_cost,
    count(*) FILTER (WHERE d.agent_id IS NOT NULL) AS subagent_requests,
    coalesce(sum(r.total_cost) FILTER (WHERE d.agent_id IS NOT NULL), 0) AS subagent_cost,
    coalesce(sum(d.tool_use_count), 0)::bigint AS tool_uses,
    coalesce(sum(r.total_cost), 0) AS total_cost,
    coalesce(sum(d.usage_cost), 0) AS usage_cost
FROM {source}
WHERE d.llm_request_id IS NOT NULL AND {conditions}
