INSERT INTO users (id, org_id, email, name, role) VALUES ($1, $2, $3, $4, $5)
RETURNING id, org_id, email, name, role, is_active, password_hash IS NOT NULL AS has_password, created_at, last_sign_in_at
