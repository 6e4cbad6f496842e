SELECT
    raw_metadata->>'Project' as project,
    COUNT(*) as requests,
    SUM(total_cost) as total_cost
FROM llm_requests
WHERE raw_metadata->>'Project' IS NOT NULL
GROUP BY 1
ORDER BY total_cost DESC;
