-- Ends sessions of which nothing came for $1 seconds, $2 at most, with their last request. One that is being written to
-- is not idle.
WITH idle AS (
    SELECT id, org_id FROM claude_sessions
    WHERE ended_at IS NULL AND coalesce(last_request_at, started_at) < now() - make_interval(secs => $1)
    ORDER BY id, org_id
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
), closed AS (
    UPDATE claude_sessions AS present
    SET ended_at = coalesce(last_request_at, started_at), ended_by = 'idle'
    FROM idle WHERE present.id = idle.id AND present.org_id = idle.org_id
    RETURNING 1
)
SELECT count(*) FROM closed
