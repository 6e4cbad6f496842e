UPDATE llm_requests SET
    input_cost = $4, output_cost = $5, cache_read_cost = $6, cache_creation_cost = $7, tool_cost = $8, total_cost = $9,
    price_version = $10, model_alias_found = true, problems = $11
WHERE id = $1 AND requested_at = $2 AND org_id = $3
