SELECT EXISTS (SELECT FROM users WHERE org_id = $1 AND role = 'admin' AND is_active)
