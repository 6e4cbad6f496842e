-- Counts a batch's metadata keys, and enters those never seen before. The rows stay locked until the commit, so that
-- whoever merges a sketch next sees ours.
INSERT INTO llm_requests_metadata_keys AS present (
    majordomo_api_key_id, key_name, org_id, display_name, request_count, last_seen_at
)
SELECT key_id, name, org_id, name, requests, to_timestamp(last_seen_us / 1e6)
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[])
    AS given (key_id, name, org_id, requests, last_seen_us)
ORDER BY key_id, name, org_id
ON CONFLICT (majordomo_api_key_id, key_name, org_id) DO UPDATE SET
    request_count = present.request_count + excluded.request_count,
    last_seen_at = greatest(present.last_seen_at, excluded.last_seen_at)
