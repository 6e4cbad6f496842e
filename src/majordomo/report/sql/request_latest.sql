SELECT id FROM llm_requests ORDER BY requested_at DESC, id DESC LIMIT 1
