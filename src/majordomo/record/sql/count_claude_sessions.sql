-- Adds a batch's sums to its sessions. Locked in one order, so that two writers never wait for each other in a ring; the
-- sums start from what the lock found. $9 is an array literal a session, the costs that /usage books in the order of
-- booking: sum() adds doubles one by one, as the CLI adds them to its total, so that no digit differs.
-- A request after the end of a session that was closed for idleness opens it again.
WITH given AS (
    SELECT session_id, org_id, requests, input_tokens, output_tokens, cost::numeric,
        'epoch'::timestamptz + first_us * interval '1 microsecond' AS first_at,
        'epoch'::timestamptz + last_us * interval '1 microsecond' AS last_at,
        booked::float8[]
    FROM unnest(
        $1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[],
        $9::text[]
    ) AS given (session_id, org_id, requests, input_tokens, output_tokens, cost, first_us, last_us, booked)
), locked AS (
    SELECT id, org_id, usage_cost, ended_by = 'idle' AS idle, ended_at FROM claude_sessions
    WHERE (id, org_id) IN (SELECT session_id, org_id FROM given) ORDER BY id, org_id FOR NO KEY UPDATE
)
UPDATE claude_sessions AS present SET
    total_requests = present.total_requests + given.requests,
    total_input_tokens = present.total_input_tokens + given.input_tokens,
    total_output_tokens = present.total_output_tokens + given.output_tokens,
    total_cost = present.total_cost + given.cost,
    usage_cost = (
        SELECT sum(cost ORDER BY position)
        FROM unnest(array_prepend(locked.usage_cost, given.booked)) WITH ORDINALITY AS ledger (cost, position)
    ),
    started_at = least(present.started_at, given.first_at),
    last_request_at = greatest(present.last_request_at, given.last_at),
    ended_at = CASE WHEN locked.idle AND given.last_at > locked.ended_at THEN NULL ELSE present.ended_at END,
    ended_by = CASE WHEN locked.idle AND given.last_at > locked.ended_at THEN NULL ELSE present.ended_by END
FROM locked JOIN given ON given.session_id = locked.id AND given.org_id = locked.org_id
WHERE present.id = locked.id AND present.org_id = locked.org_id
