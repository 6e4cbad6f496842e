SELECT
    raw_metadata->>'Developer' as developer,
    COUNT(*) as requests,
    SUM(total_cost) as total_cost
FROM llm_requests
WHERE raw_metadata->>'Developer' IS NOT NULL
GROUP BY 1
ORDER BY total_cost DESC;
