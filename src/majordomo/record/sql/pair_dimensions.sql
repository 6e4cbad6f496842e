-- The metadata keys of each organisation that are summed in pairs: the $1 that were activated first, of those with few
-- values. An organisation that has none may be missing.
SELECT org_id, coalesce(array_agg(key_name ORDER BY key_name) FILTER (WHERE place <= $1), '{}') AS names
FROM (
    SELECT org_id, key_name, row_number() OVER (PARTITION BY org_id ORDER BY min(activated_at), key_name) AS place
    FROM llm_requests_metadata_keys
    GROUP BY org_id, key_name
    HAVING bool_or(is_active) AND bool_and(rollup_stopped_at IS NULL)
) k
GROUP BY org_id
