-- What ended since $1, in all and by model, gateway key and the values of metadata key $3. $2: since when it may have begun.
WITH lately AS MATERIALIZED (
    SELECT
        provider || '/' || coalesce(nullif(model, ''), '?') AS model,
        majordomo_api_key_id,
        coalesce(raw_metadata ->> $3::text, '') AS feature,
        (coalesce(status_code >= 400, false)
            OR outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost'))::int AS errors,
        coalesce(prompt_tokens, 0) AS prompt_tokens,
        coalesce(output_tokens, 0) AS output_tokens,
        coalesce(total_cost, 0) AS total_cost,
        (total_cost IS NULL AND usage_state <> 'none')::int AS unpriced
    FROM llm_requests
    WHERE requested_at >= $2 AND coalesce(responded_at, created_at) >= $1
)
SELECT
    CASE kind WHEN 7 THEN 'total' WHEN 3 THEN 'model' WHEN 5 THEN 'key' ELSE 'feature' END AS by,
    CASE kind WHEN 3 THEN model WHEN 5 THEN coalesce(k.name, majordomo_api_key_id::text) WHEN 6 THEN feature END AS value,
    requests, errors, prompt_tokens, output_tokens, total_cost, unpriced
FROM (
    SELECT model, majordomo_api_key_id, feature, grouping(model, majordomo_api_key_id, feature) AS kind,
        count(*) AS requests,
        coalesce(sum(errors), 0)::bigint AS errors,
        coalesce(sum(prompt_tokens), 0)::bigint AS prompt_tokens,
        coalesce(sum(output_tokens), 0)::bigint AS output_tokens,
        coalesce(sum(total_cost), 0)::numeric AS total_cost,
        coalesce(sum(unpriced), 0)::bigint AS unpriced
    FROM lately
    GROUP BY GROUPING SETS ((), (model), (majordomo_api_key_id), (feature))
) sums
LEFT JOIN api_keys k ON k.id = majordomo_api_key_id
ORDER BY total_cost DESC, requests DESC, value
