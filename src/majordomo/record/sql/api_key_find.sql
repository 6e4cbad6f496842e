-- $1: an id in its text form, or a name. A key whose whole id is given stands alone. $2: only of this organisation.
SELECT id, org_id, name, description, is_active, on_hangup, metadata, created_at, revoked_at, last_used_at,
    request_count
FROM api_keys
WHERE (id::text = lower($1) OR name = $1) AND ($2::uuid IS NULL OR org_id = $2)
ORDER BY id::text = lower($1) DESC, is_active DESC, created_at, id
