SELECT model, input_tokens, output_tokens, total_cost, requested_at
FROM llm_requests
ORDER BY requested_at DESC
LIMIT 5;
