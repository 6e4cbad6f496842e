-- A revoked key gets no new secret: what was taken back stays taken back.
UPDATE api_keys
SET key_hash = $2
WHERE id = $1 AND is_active
RETURNING id, org_id, name, description, is_active, on_hangup, metadata, created_at, revoked_at, last_used_at,
    request_count
