-- The requests whose billed quantities and cost are known, and the others, by provider, model and whether a batch's.
SELECT r.provider, nullif(r.model, '') AS model, coalesce((r.billed ->> 'batch')::bool, false) AS is_batch,
    count(*) FILTER (WHERE r.total_cost IS NOT NULL AND r.billed IS NOT NULL) AS requests,
    count(*) FILTER (WHERE r.total_cost IS NULL AND r.usage_state <> 'none') AS unpriced,
    coalesce(sum(r.total_cost) FILTER (WHERE r.billed IS NOT NULL), 0) AS total_cost
FROM {source}
WHERE {conditions}
GROUP BY 1, 2, 3
