-- Whether the sums of an hour ($2) of organisation $1 hold all that was counted with its rows: they do not if rows came
-- meanwhile, or if retention has dropped them.
SELECT p.requests IS NOT DISTINCT FROM m.requests AND p.total_cost IS NOT DISTINCT FROM m.total_cost
FROM (
    SELECT sum(requests) AS requests, sum(total_cost) AS total_cost FROM usage_by_pair_hourly
    WHERE org_id = $1 AND first_dimension = 'model' AND second_dimension = 'key' AND bucket_start = $2
) p, (
    SELECT sum(requests) AS requests, sum(total_cost) AS total_cost FROM usage_by_model_hourly
    WHERE org_id = $1 AND bucket_start = $2
) m
