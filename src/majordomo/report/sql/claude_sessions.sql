-- Sessions that went on in [$1, $2), newest first. Filters: $3 keys; then, of any of its requests, $4 provider, $5 model
-- ('' for none), $6 metadata. $7 only those without an end. $8 rows at most, from $9 on.
SELECT s.id, s.majordomo_api_key_id, k.name AS key_name, s.session_name, s.started_at, s.ended_at, s.total_requests,
    s.total_input_tokens, s.total_output_tokens, s.total_cost, s.created_at, s.source, s.last_request_at, s.usage_cost,
    s.ended_by
FROM claude_sessions s
LEFT JOIN api_keys k ON k.id = s.majordomo_api_key_id
WHERE s.started_at < $2 AND coalesce(s.last_request_at, s.started_at) >= $1
    AND ($3::uuid[] IS NULL OR s.majordomo_api_key_id = ANY ($3))
    AND (coalesce($4::text, $5::text, $6::text) IS NULL OR EXISTS (
        SELECT FROM llm_requests r
        WHERE r.claude_session_id = s.id AND r.majordomo_api_key_id = s.majordomo_api_key_id
            AND ($4::text IS NULL OR r.provider = $4)
            AND ($5::text IS NULL OR coalesce(r.model, '') = $5)
            AND ($6::text IS NULL OR r.raw_metadata @> $6::text::jsonb)
    ))
    AND (NOT $7::bool OR s.ended_at IS NULL)
ORDER BY s.started_at DESC, s.id DESC
LIMIT $8 OFFSET $9
