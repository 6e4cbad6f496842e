SELECT id, org_id, is_active, metadata FROM api_keys WHERE key_hash = $1
