-- One day's ($1) sums by hour, organisation, key, and the values of some metadata keys ($2).
SELECT extract(epoch FROM date_trunc('hour', r.requested_at, 'UTC'))::bigint / 3600, r.org_id, r.majordomo_api_key_id, name,
    r.raw_metadata ->> name, {sums}
FROM llm_requests r CROSS JOIN unnest($2::text[]) names (name)
WHERE r.requested_at >= $1 AND r.requested_at < $1 + interval '1 day' AND r.raw_metadata ? name
GROUP BY 1, 2, 3, 4, 5
