SELECT
    has_thinking,
    COUNT(*) as requests,
    SUM(lr.total_cost) as total_cost
FROM claude_request_details crd
JOIN llm_requests lr ON crd.llm_request_id = lr.id
GROUP BY has_thinking;
