-- Says nothing where the key is revoked already: the first revocation's time stands.
UPDATE api_keys
SET is_active = false, revoked_at = now()
WHERE id = $1 AND is_active
RETURNING id, org_id, name, description, is_active, on_hangup, metadata, created_at, revoked_at, last_used_at,
    request_count
