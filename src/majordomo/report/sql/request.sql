-- One request with every field. The primary key begins with the id, so each month costs one probe.
SELECT r.*, k.name AS key_name
FROM llm_requests r
LEFT JOIN api_keys k ON k.id = r.majordomo_api_key_id
WHERE r.id = $1
