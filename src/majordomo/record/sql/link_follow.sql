WITH used AS (
    DELETE FROM sign_in_links WHERE token_hash = $1 RETURNING user_id, expires_at
)
UPDATE users u SET password_hash = $3
FROM used WHERE u.id = used.user_id AND used.expires_at > $2 AND u.is_active
RETURNING u.id, u.org_id, u.email, u.name, u.role, u.is_active, u.password_hash IS NOT NULL AS has_password, u.created_at,
    u.last_sign_in_at
