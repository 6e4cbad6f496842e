SELECT
    lr.model,
    lr.input_tokens,
    lr.output_tokens,
    lr.total_cost,
    crd.tool_names,
    crd.tool_use_count,
    crd.has_thinking,
    crd.is_plan_mode,
    crd.stop_reason,
    lr.requested_at
FROM claude_request_details crd
JOIN llm_requests lr ON crd.llm_request_id = lr.id
WHERE crd.session_id = 'your-session-uuid-here'
ORDER BY lr.requested_at;
