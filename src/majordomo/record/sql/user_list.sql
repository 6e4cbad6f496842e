SELECT id, org_id, email, name, role, is_active, password_hash IS NOT NULL AS has_password, created_at, last_sign_in_at
FROM users WHERE $1::uuid IS NULL OR org_id = $1 ORDER BY created_at, id
