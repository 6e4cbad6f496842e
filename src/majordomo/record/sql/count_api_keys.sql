-- Locked in one order, so that two writers never wait for each other in a ring.
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS given (key_id, requests, last_used_us)
), locked AS (
    SELECT id FROM api_keys WHERE id IN (SELECT key_id FROM given) ORDER BY id FOR NO KEY UPDATE
)
UPDATE api_keys SET
    request_count = request_count + given.requests,
    last_used_at = greatest(last_used_at, to_timestamp(given.last_used_us / 1e6))
FROM locked JOIN given ON given.key_id = locked.id
WHERE api_keys.id = locked.id
