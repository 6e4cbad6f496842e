SELECT id, name, description, is_active, on_hangup, metadata, created_at, revoked_at, last_used_at,
    request_count
FROM api_keys
ORDER BY created_at, id
