-- The histograms of latency by one dimension, from those by model and key.
INSERT INTO latency_{tier} (bucket_start, org_id, dimension, value, response_times, first_byte_times)
SELECT bucket_start, org_id, d.dimension, d.value, sum(response_times), sum(first_byte_times)
FROM usage_by_pair_{tier} p
CROSS JOIN LATERAL (VALUES
    ('', ''), ('provider', p.provider), ('model', coalesce(p.first_value, '')), ('key', p.second_value)
) d (dimension, value)
WHERE p.first_dimension = 'model' AND p.second_dimension = 'key'
GROUP BY 1, 2, 3, 4
