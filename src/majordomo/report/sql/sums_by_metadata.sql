(
    -- The cells of one metadata key. Requests without the key are in none of them: they are all less those.
    SELECT bucket_start, org_id, majordomo_api_key_id, key_value, {amounts}
    FROM usage_by_metadata_{tier} WHERE key_name = {key_name}
    UNION ALL
    SELECT bucket_start, org_id, majordomo_api_key_id, NULL, {less}
    FROM usage_by_metadata_{tier} WHERE key_name = {key_name}
    UNION ALL
    SELECT bucket_start, org_id, majordomo_api_key_id, NULL, {amounts}
    FROM usage_by_model_{tier}
) s
