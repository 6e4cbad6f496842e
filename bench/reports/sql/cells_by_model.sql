-- One day's ($1) sums by hour, organisation, key, provider and model; costs in femto-dollars.
SELECT extract(epoch FROM date_trunc('hour', r.requested_at, 'UTC'))::bigint / 3600, r.org_id, r.majordomo_api_key_id, r.provider,
    coalesce(r.model, ''), {sums}
FROM llm_requests r
WHERE r.requested_at >= $1 AND r.requested_at < $1 + interval '1 day'
GROUP BY 1, 2, 3, 4, 5
