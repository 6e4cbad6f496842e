SELECT
    u.id, u.org_id, u.email, u.name, u.role, u.is_active, u.password_hash IS NOT NULL AS has_password, u.created_at,
    u.last_sign_in_at, s.csrf_token, s.expires_at
FROM user_sessions s JOIN users u ON u.id = s.user_id
WHERE s.token_hash = $1 AND s.expires_at > $2 AND u.is_active
