-- $1: only of this organisation. $2, $3: after the key that was made at this moment with this id. $4: at most so many.
SELECT id, org_id, name, description, is_active, on_hangup, metadata, created_at, revoked_at, last_used_at,
    request_count
FROM api_keys
WHERE ($1::uuid IS NULL OR org_id = $1) AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3::uuid))
ORDER BY created_at, id
LIMIT $4
