-- Counts a batch's metadata keys, and enters those never seen before. The rows stay locked until the commit, so that
-- whoever merges a sketch next sees ours. One that is active for the organisation is active from its first request on.
INSERT INTO llm_requests_metadata_keys AS present (
    majordomo_api_key_id, key_name, org_id, display_name, is_active, activated_at, request_count, last_seen_at
)
SELECT key_id, name, given.org_id, name, a.org_id IS NOT NULL, CASE WHEN a.org_id IS NOT NULL THEN now() END,
    requests, to_timestamp(last_seen_us / 1e6)
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[])
    AS given (key_id, name, org_id, requests, last_seen_us)
LEFT JOIN metadata_activations a ON a.org_id = given.org_id AND a.key_name = name
ORDER BY key_id, name, given.org_id
ON CONFLICT (majordomo_api_key_id, key_name, org_id) DO UPDATE SET
    request_count = present.request_count + excluded.request_count,
    last_seen_at = greatest(present.last_seen_at, excluded.last_seen_at)
