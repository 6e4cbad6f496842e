-- One stretch of time's requests with all that a charge depends on, those of one charge together. JSON is text here.
SELECT
    r.org_id::text AS org_id, r.majordomo_api_key_id::text AS key, r.provider,
    nullif(r.provider_api_key_hash, '') AS account, nullif(r.provider_api_key_alias, '') AS account_name,
    nullif(r.model, '') AS model, nullif(r.service_tier, '') AS service_tier, nullif(r.billed ->> 'speed', '') AS speed,
    nullif(r.price_version, '') AS price_version, nullif(nullif(r.billed ->> 'geo', ''), 'not_available') AS geo,
    r.raw_metadata::text AS tags, r.billed ->> 'batch' = 'true' AS is_batch, r.total_cost IS NOT NULL AS is_priced,
    r.requested_at, r.billed, r.total_cost, r.input_cost, r.cache_read_cost, r.cache_creation_cost, r.output_cost,
    r.tool_cost, r.prompt_tokens, r.cached_tokens, r.cache_creation_tokens, r.output_tokens
FROM {source}
WHERE {conditions}
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
