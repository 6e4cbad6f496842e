-- What replies called, the costliest first. A reply that called several tools counts in each; NULL: those that called none.
SELECT t.tool, count(*) AS requests, coalesce(sum(r.total_cost), 0) AS total_cost
FROM {source}
CROSS JOIN LATERAL unnest(CASE WHEN d.tool_names = '{{}}' THEN ARRAY[NULL] ELSE d.tool_names END) t(tool)
WHERE d.llm_request_id IS NOT NULL AND {conditions}
GROUP BY t.tool
ORDER BY total_cost DESC, requests DESC, t.tool
LIMIT {limit}
