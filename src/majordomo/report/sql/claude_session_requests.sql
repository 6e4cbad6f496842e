-- A session's requests with their details, in the order in which they came. $2: the key that owns it, as another
-- organisation may have a session of the same id. $3 rows at most, from $4 on.
SELECT r.id, r.requested_at, r.responded_at, r.response_time_ms, r.provider, r.model, r.requested_model,
    r.request_path, r.status_code, r.outcome, r.streamed, r.input_tokens, r.output_tokens, r.cached_tokens,
    r.cache_creation_tokens, r.reasoning_tokens, r.prompt_tokens, r.usage_state, r.service_tier, r.total_cost,
    r.error_type, coalesce(r.agent_id, d.agent_id) AS agent_id,
    coalesce(r.parent_agent_id, d.parent_agent_id) AS parent_agent_id,
    d.message_count, d.user_message_count, d.assistant_message_count, d.tool_names, d.tool_use_count, d.has_thinking,
    d.is_plan_mode, d.stop_reason, d.system_prompt_hash, d.usage_cost, d.query_class, d.client_session_id,
    d.client_version, d.effort, d.context_window
FROM llm_requests r
LEFT JOIN claude_request_details d ON d.llm_request_id = r.id AND d.created_at = r.requested_at
WHERE r.claude_session_id = $1 AND r.majordomo_api_key_id = $2
ORDER BY r.requested_at, r.id
LIMIT $3 OFFSET $4
