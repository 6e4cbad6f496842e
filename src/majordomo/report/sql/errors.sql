-- What failed, by kind: the most frequent first, each with its newest request. The index of failed rows serves it.
WITH failed AS MATERIALIZED (
    SELECT r.error_type, r.status_code, r.outcome, r.provider, nullif(r.model, '') AS model, r.requested_at
    FROM {source}
    WHERE {conditions} AND ({failed})
), kinds AS (
    SELECT error_type, status_code, outcome, provider, model,
        count(*) AS requests, min(requested_at) AS first_at, max(requested_at) AS last_at,
        sum(count(*)) OVER ()::bigint AS all_requests, count(*) OVER () AS all_kinds
    FROM failed
    GROUP BY 1, 2, 3, 4, 5
    ORDER BY requests DESC, last_at DESC
    LIMIT {limit}
)
SELECT k.*, s.id AS sample_id, s.error_message AS sample_message
FROM kinds k
CROSS JOIN LATERAL (
    SELECT r.id, r.error_message
    FROM {source}
    WHERE r.requested_at = k.last_at AND ({failed}) AND {conditions}
        AND (r.error_type, r.status_code, r.outcome, r.provider, nullif(r.model, ''))
            IS NOT DISTINCT FROM (k.error_type, k.status_code, k.outcome, k.provider, k.model)
    LIMIT 1
) s
ORDER BY k.requests DESC, k.last_at DESC
