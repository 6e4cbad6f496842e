INSERT INTO user_tokens (id, user_id, name, token_hash, expires_at)
SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM user_tokens WHERE user_id = $2) < $6
RETURNING id, name, created_at, expires_at, last_used_at
