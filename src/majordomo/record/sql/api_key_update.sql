-- $2, $4, $6 and $8 say which of name, description, on_hangup and metadata change; the others stay.
UPDATE api_keys
SET name = CASE WHEN $2::bool THEN $3::text ELSE name END,
    description = CASE WHEN $4::bool THEN $5::text ELSE description END,
    on_hangup = CASE WHEN $6::bool THEN $7::text ELSE on_hangup END,
    metadata = CASE WHEN $8::bool THEN $9::text::jsonb ELSE metadata END
WHERE id = $1
RETURNING id, org_id, name, description, is_active, on_hangup, metadata, created_at, revoked_at, last_used_at,
    request_count
