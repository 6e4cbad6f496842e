-- What budgets refused since $1 of one organisation ($3), by budget, value, gateway key and code. The budget's name, and
-- the value that it counts apart, stand quoted in what the caller was told, as Python quotes.
WITH said AS (
    SELECT r.majordomo_api_key_id AS api_key_id, r.error_type AS code, r.requested_at,
        substring(r.error_message FROM '(?:budget|rate limit) (''(?:[^''\\]|\\.)*''|"(?:[^"\\]|\\.)*")') AS name,
        substring(r.error_message
            FROM '(?:budget|rate limit) (?:''(?:[^''\\]|\\.)*''|"(?:[^"\\]|\\.)*") for (''(?:[^''\\]|\\.)*''|"(?:[^"\\]|\\.)*")'
        ) AS value
    FROM llm_requests r
    WHERE r.requested_at >= $1 AND r.outcome = 'refused' AND r.error_type = ANY ($2::text[])
        AND ($3::uuid IS NULL OR r.org_id = $3)
)
SELECT s.name, s.value, s.code, coalesce(k.name, s.api_key_id::text) AS who, s.api_key_id, count(*) AS requests,
    min(s.requested_at) AS since, max(s.requested_at) AS latest
FROM said s LEFT JOIN api_keys k ON k.id = s.api_key_id
WHERE s.name IS NOT NULL
GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC, 8 DESC, 1 LIMIT 500
