-- The newest requests. Filters: time [$1, $2), $3 keys, $4 provider, $5 model ('' for none), $6 metadata,
-- $7 only errors, $8 only unpriced. $9 rows at most.
SELECT
    r.id, r.requested_at, r.majordomo_api_key_id, k.name AS key_name, r.provider, r.model, r.status_code, r.outcome,
    r.usage_state, r.prompt_tokens, r.output_tokens, r.total_cost, r.response_time_ms, r.error_type
FROM llm_requests r
LEFT JOIN api_keys k ON k.id = r.majordomo_api_key_id
WHERE r.requested_at >= $1 AND r.requested_at < $2
    AND ($3::uuid[] IS NULL OR r.majordomo_api_key_id = ANY ($3))
    AND ($4::text IS NULL OR r.provider = $4)
    AND ($5::text IS NULL OR coalesce(r.model, '') = $5)
    AND ($6::jsonb IS NULL OR r.raw_metadata @> $6)
    AND (NOT $7::bool OR r.status_code >= 400
        OR r.outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost'))
    AND (NOT $8::bool OR r.total_cost IS NULL AND r.usage_state <> 'none')
ORDER BY r.requested_at DESC, r.id DESC
LIMIT $9
