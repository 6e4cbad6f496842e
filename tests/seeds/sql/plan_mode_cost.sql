SELECT
    CASE WHEN is_plan_mode THEN 'Plan Mode' ELSE 'Full Mode' END as mode,
    COUNT(*) as requests,
    SUM(lr.total_cost) as total_cost
FROM claude_request_details crd
JOIN llm_requests lr ON crd.llm_request_id = lr.id
GROUP BY is_plan_mode;
