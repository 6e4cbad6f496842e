EXISTS (
    SELECT FROM {source}
    WHERE r.claude_session_id = s.id AND r.majordomo_api_key_id = s.majordomo_api_key_id AND {conditions}
)
