-- The next rows without a known price that say what was billed, by time, after the last one looked at. Locked, so that
-- two runs at once never add the same cost twice: the second one sees total_cost set and passes the row over.
SELECT id, org_id, majordomo_api_key_id, provider, api, model, requested_model, request_method, request_path,
    requested_at, status_code, outcome, usage_state, input_tokens, output_tokens, prompt_tokens, service_tier, billed,
    problems, raw_metadata, indexed_metadata, claude_session_id
FROM llm_requests
WHERE total_cost IS NULL AND usage_state <> 'none' AND billed IS NOT NULL AND (requested_at, id) > ($1, $2)
ORDER BY requested_at, id
LIMIT $3
FOR NO KEY UPDATE
