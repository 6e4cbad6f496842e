-- The runs that the newest requests of a scope are of, the last seen first, without those on a page before. How many
-- requests these were, and how far back they go: at that very moment there may be more. One row without a run if all of
-- these are of runs shown before.
WITH newest AS MATERIALIZED (
    SELECT r.id, r.requested_at, r.org_id
    FROM {source}
    WHERE r.trace_id IS NOT NULL AND {conditions} AND {before}
    ORDER BY r.requested_at DESC
    LIMIT {window}
), seen AS MATERIALIZED (
    SELECT t.trace_id AS run, n.requested_at
    FROM newest n
    JOIN llm_requests t ON t.id = n.id AND t.requested_at = n.requested_at AND t.org_id = n.org_id
), whole AS (
    SELECT count(*) AS requests, min(requested_at) AS back_to FROM seen
), runs AS (
    SELECT seen.run, max(seen.requested_at) AS last_at FROM seen GROUP BY seen.run HAVING {unseen}
)
SELECT whole.requests, whole.back_to, runs.run, runs.last_at
FROM whole LEFT JOIN runs ON true
ORDER BY runs.last_at DESC, runs.run DESC
