-- Ends a session of this key, unless its owner has ended it before. Idleness is no end that an owner could not change.
UPDATE claude_sessions
SET ended_at = now(), ended_by = 'owner'
WHERE id = $1 AND majordomo_api_key_id = $2 AND (ended_at IS NULL OR ended_by = 'idle')
RETURNING id
