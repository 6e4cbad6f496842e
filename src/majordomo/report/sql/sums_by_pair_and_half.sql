(
    -- The cells of two dimensions; hours that are cut at half past are less by what their second half is told for there.
    SELECT org_id, bucket_start, first_value, second_value, provider, {columns}
    FROM usage_by_pair_hourly WHERE first_dimension = {first} AND second_dimension = {second}
    UNION ALL
    SELECT org_id, bucket_start, first_value, second_value, provider, {columns}
    FROM usage_by_pair_half WHERE first_dimension = {first} AND second_dimension = {second} AND bucket_start = ANY ({splits})
    UNION ALL
    SELECT org_id, bucket_start - interval '30 minutes', first_value, second_value, provider, {less}
    FROM usage_by_pair_half WHERE first_dimension = {first} AND second_dimension = {second} AND bucket_start = ANY ({splits})
) s
