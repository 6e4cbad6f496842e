-- Whom a budget refused since $1, by gateway key. Its name stands quoted in what the caller was told.
SELECT coalesce(k.name, r.majordomo_api_key_id::text) AS who, r.majordomo_api_key_id AS api_key_id, count(*) AS requests,
    min(r.requested_at) AS since, max(r.requested_at) AS latest
FROM llm_requests r LEFT JOIN api_keys k ON k.id = r.majordomo_api_key_id
WHERE r.org_id = $5 AND r.requested_at >= $1 AND r.outcome = 'refused' AND r.error_type = ANY ($2::text[])
    AND (position($3 IN r.error_message) > 0 OR position($4 IN r.error_message) > 0)
GROUP BY 1, 2 ORDER BY 3 DESC, 1 LIMIT 100
