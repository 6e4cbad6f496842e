-- Last use is kept to the minute: not every call of a program is a write.
WITH found AS (
    SELECT t.id AS token_id, t.last_used_at, u.* FROM user_tokens t JOIN users u ON u.id = t.user_id
    WHERE t.token_hash = $1 AND (t.expires_at IS NULL OR t.expires_at > $2) AND u.is_active
), touched AS (
    UPDATE user_tokens t SET last_used_at = $2
    FROM found WHERE t.id = found.token_id AND coalesce(found.last_used_at < $2 - interval '1 minute', true)
)
SELECT u.id, u.org_id, u.email, u.name, u.role, u.is_active, u.password_hash IS NOT NULL AS has_password, u.created_at,
    u.last_sign_in_at
FROM found u
