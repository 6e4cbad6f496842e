SELECT id, name, created_at, expires_at, last_used_at FROM user_tokens WHERE user_id = $1 ORDER BY created_at, id
