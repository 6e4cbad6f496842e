-- Sums by two dimensions of the requests of organisation $1 in [$2, $3). Filled in: table; dimensions, each as a column;
-- amounts; pairs, a SELECT of cells for each. Histograms are numbers in base 10^{digits} whose steps grow by the factor {step}.
INSERT INTO usage_by_pair_{table} (
    org_id, bucket_start, first_dimension, second_dimension, first_value, second_value, provider, {columns}
)
WITH counted AS MATERIALIZED (
    SELECT r.provider, {dimensions},
        {amounts},
        (r.usage_state = 'estimated')::int AS estimated,
        (r.outcome = 'lost')::int AS lost,
        ('1e' || {digits} * CASE WHEN r.response_time_ms <= 1 THEN 0
            ELSE ceil(ln(r.response_time_ms::double precision) / ln({step}::double precision)) END)::numeric AS response_times,
        ('1e' || {digits} * CASE WHEN r.time_to_first_byte_ms <= 1 THEN 0
            ELSE ceil(ln(r.time_to_first_byte_ms::double precision) / ln({step}::double precision)) END)::numeric AS first_byte_times
    FROM llm_requests r
    LEFT JOIN claude_request_details d ON d.llm_request_id = r.id AND d.created_at = r.requested_at
        AND d.created_at >= $2 AND d.created_at < $3
    WHERE r.org_id = $1 AND r.requested_at >= $2 AND r.requested_at < $3
)
{pairs}
