INSERT INTO api_keys (id, name, description, key_hash, on_hangup, metadata)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb)
RETURNING id, name, description, is_active, on_hangup, metadata, created_at, revoked_at, last_used_at,
    request_count
