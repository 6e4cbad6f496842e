SELECT id, s.org_id, majordomo_api_key_id
FROM claude_sessions s
JOIN unnest($1::uuid[], $2::uuid[]) AS given (session_id, org_id) ON id = session_id AND s.org_id = given.org_id
