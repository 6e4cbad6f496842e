-- Only sessions that exist, and only their own key's requests: a caller may name any session.
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])
        AS given (session_id, key_id, requests, input_tokens, output_tokens, cost)
), locked AS (
    SELECT id, org_id, majordomo_api_key_id FROM claude_sessions
    WHERE id IN (SELECT session_id FROM given) ORDER BY id, org_id FOR NO KEY UPDATE
)
UPDATE claude_sessions AS present SET
    total_requests = present.total_requests + given.requests,
    total_input_tokens = present.total_input_tokens + given.input_tokens,
    total_output_tokens = present.total_output_tokens + given.output_tokens,
    total_cost = present.total_cost + given.cost::numeric
FROM locked JOIN given ON given.session_id = locked.id AND given.key_id = locked.majordomo_api_key_id
WHERE present.id = locked.id AND present.org_id = locked.org_id
