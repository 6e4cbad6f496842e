SELECT id, org_id, email, name, role, is_active, password_hash IS NOT NULL AS has_password, created_at, last_sign_in_at
FROM users WHERE (id::text = $1 OR email = $1) AND ($2::uuid IS NULL OR org_id = $2)
