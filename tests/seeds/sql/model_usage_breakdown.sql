SELECT
    model,
    COUNT(*) as requests,
    SUM(input_tokens) as input_tokens,
    SUM(output_tokens) as output_tokens,
    SUM(total_cost) as total_cost
FROM llm_requests lr
JOIN claude_request_details crd ON crd.llm_request_id = lr.id
GROUP BY model
ORDER BY total_cost DESC;
