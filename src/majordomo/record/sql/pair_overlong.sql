-- Which dimensions have a value longer than $5 characters in organisation $1 in [$2, $3); $4 are the metadata keys.
SELECT coalesce(array_agg(DISTINCT dimension), '{}')
FROM (
    SELECT v.dimension
    FROM llm_requests r
    CROSS JOIN LATERAL (
        SELECT 'metadata.' || name AS dimension, r.raw_metadata ->> name AS value FROM unnest($4::text[]) AS given (name)
        UNION ALL SELECT 'client', r.client
    ) v
    WHERE r.org_id = $1 AND r.requested_at >= $2 AND r.requested_at < $3 AND length(v.value) > $5
) overlong
