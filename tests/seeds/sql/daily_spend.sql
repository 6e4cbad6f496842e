SELECT
    DATE(requested_at) as date,
    COUNT(*) as requests,
    SUM(total_cost) as total_cost
FROM llm_requests lr
JOIN claude_request_details crd ON crd.llm_request_id = lr.id
GROUP BY 1
ORDER BY date DESC
LIMIT 30;
