UPDATE users SET
    email = coalesce($2, email), name = coalesce($3, name), role = coalesce($4, role),
    is_active = coalesce($5, is_active)
WHERE id = $1
RETURNING id, org_id, email, name, role, is_active, password_hash IS NOT NULL AS has_password, created_at, last_sign_in_at
