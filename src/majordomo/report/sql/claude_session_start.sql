-- Makes a session, or finds the one that this key has made before; nothing where it is another key's.
INSERT INTO claude_sessions AS present (id, org_id, majordomo_api_key_id, session_name)
VALUES ($1, $2, $3, $4)
ON CONFLICT (id, org_id) DO UPDATE SET session_name = coalesce(present.session_name, excluded.session_name)
WHERE present.majordomo_api_key_id = excluded.majordomo_api_key_id
RETURNING id
