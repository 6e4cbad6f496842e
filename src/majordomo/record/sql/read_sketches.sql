SELECT majordomo_api_key_id, key_name, org_id, hll_state
FROM llm_requests_metadata_keys
JOIN unnest($1::uuid[], $2::text[], $3::uuid[]) AS given (key_id, name, org)
    ON majordomo_api_key_id = key_id AND key_name = name AND org_id = org
