-- Nothing where there is no such organisation.
INSERT INTO api_keys (id, org_id, name, description, key_hash, on_hangup, metadata)
SELECT $1, id, $3, $4, $5, $6, $7::text::jsonb
FROM orgs
WHERE id = $2
RETURNING id, org_id, name, description, is_active, on_hangup, metadata, created_at, revoked_at, last_used_at,
    request_count
