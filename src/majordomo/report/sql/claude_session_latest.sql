SELECT id FROM claude_sessions ORDER BY coalesce(last_request_at, started_at) DESC, id DESC LIMIT 1
