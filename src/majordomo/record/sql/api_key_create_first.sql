-- Only where there is no key at all; two gateways that start at once on one database make one.
INSERT INTO api_keys (id, name, key_hash)
SELECT $1, $2, $3
WHERE NOT EXISTS (SELECT FROM api_keys)
RETURNING id
