-- The last of the next $5 rows of a gateway key behind one, and how many these are.
SELECT requested_at, id, count(*) OVER () AS rows
FROM (
    SELECT requested_at, id
    FROM llm_requests
    WHERE majordomo_api_key_id = $1 AND org_id = $2 AND requested_at >= $3 AND (requested_at, id) > ($3, $4)
    ORDER BY requested_at, id
    LIMIT $5
) following
ORDER BY requested_at DESC, id DESC
LIMIT 1
