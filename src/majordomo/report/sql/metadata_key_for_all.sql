-- Gateway keys of organisation $2 (NULL: of any that has sent it) that begin to send $1 later have it active.
INSERT INTO metadata_activations (org_id, key_name)
SELECT DISTINCT org_id, key_name
FROM llm_requests_metadata_keys
WHERE key_name = $1 AND ($2::uuid IS NULL OR org_id = $2)
ON CONFLICT DO NOTHING
