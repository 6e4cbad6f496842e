-- One request with every field; $2: only if it is this organisation's. The primary key begins with the id, so each month costs one probe.
SELECT r.*, k.name AS key_name
FROM llm_requests r
LEFT JOIN api_keys k ON k.id = r.majordomo_api_key_id
WHERE r.id = $1 AND ($2::uuid IS NULL OR r.org_id = $2)
