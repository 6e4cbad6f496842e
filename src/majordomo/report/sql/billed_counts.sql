-- What these requests were billed for, added up by provider, model, whether a batch's, and the bracket of prompt length
-- that each part is in: how many bounds its prompt exceeds. Parts tell their prompt's length, or it is the sum of theirs.
WITH parts AS (
    SELECT r.provider, nullif(r.model, '') AS model, coalesce((r.billed ->> 'batch')::bool, false) AS is_batch,
        p.part -> 'counts' AS counts, (p.part ->> 'context')::bigint AS context
    FROM {source}
    CROSS JOIN LATERAL jsonb_array_elements(r.billed -> 'parts') p (part)
    WHERE r.total_cost IS NOT NULL AND r.billed IS NOT NULL AND {conditions}
), measured AS (
    SELECT provider, model, is_batch, counts, coalesce(context, (
        SELECT sum(c.value::bigint) FROM jsonb_each_text(counts) c WHERE c.key = ANY ({prompt_buckets})
    ), 0) AS prompt
    FROM parts
)
SELECT m.provider, m.model, m.is_batch, b.bracket, c.key AS bucket, sum(c.value::bigint)::bigint AS units
FROM measured m
CROSS JOIN LATERAL (SELECT count(*)::int AS bracket FROM unnest({bounds}) a (above) WHERE m.prompt > a.above) b
CROSS JOIN LATERAL jsonb_each_text(m.counts) c
GROUP BY 1, 2, 3, 4, 5
