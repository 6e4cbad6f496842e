-- Histograms of response time and time to first byte, written with the rows, for all requests of an organisation
-- (dimension '') and by provider, model and key. Each is one number in base 10^12: its lowest digit counts the requests of
-- up to 1 ms, each further one those of a step 1.05 times as wide. So sums of numbers are histograms of sums.
CREATE TABLE latency_hourly (
    bucket_start        timestamptz NOT NULL,
    org_id              uuid NOT NULL,
    dimension           text NOT NULL,
    value               text NOT NULL,  -- '' for all, and where a request names no model
    response_times      numeric NOT NULL,
    first_byte_times    numeric NOT NULL,
    PRIMARY KEY (org_id, dimension, bucket_start, value)
) WITH (fillfactor = 70);

CREATE TABLE latency_daily (
    LIKE latency_hourly INCLUDING ALL
) WITH (fillfactor = 70);

-- What was recorded before. Nobody may add rows that these sums would miss.
LOCK TABLE llm_requests IN SHARE MODE;
INSERT INTO latency_hourly (bucket_start, org_id, dimension, value, response_times, first_byte_times)
WITH powers AS MATERIALIZED (
    SELECT step, ('1e' || 12 * step)::numeric AS one FROM generate_series(0, 450) AS steps (step)
), timed AS (
    SELECT date_trunc('hour', requested_at, 'UTC') AS bucket_start, org_id, majordomo_api_key_id, provider,
        coalesce(model, '') AS model,
        CASE WHEN response_time_ms <= 1 THEN 0
            ELSE ceil(ln(response_time_ms::double precision) / ln(1.05::double precision)) END::int AS response_step,
        CASE WHEN time_to_first_byte_ms <= 1 THEN 0
            ELSE ceil(ln(time_to_first_byte_ms::double precision) / ln(1.05::double precision)) END::int AS first_step
    FROM llm_requests
    WHERE response_time_ms IS NOT NULL OR time_to_first_byte_ms IS NOT NULL
), cells AS MATERIALIZED (
    SELECT bucket_start, org_id, majordomo_api_key_id, provider, model,
        coalesce(sum(r.one), 0) AS response_times, coalesce(sum(f.one), 0) AS first_byte_times
    FROM timed
    LEFT JOIN powers r ON r.step = response_step
    LEFT JOIN powers f ON f.step = first_step
    GROUP BY 1, 2, 3, 4, 5
)
SELECT bucket_start, org_id, d.dimension, d.value, sum(response_times), sum(first_byte_times)
FROM cells
CROSS JOIN LATERAL (VALUES
    ('', ''), ('provider', provider), ('model', model), ('key', majordomo_api_key_id::text)
) d (dimension, value)
GROUP BY 1, 2, 3, 4;

INSERT INTO latency_daily (bucket_start, org_id, dimension, value, response_times, first_byte_times)
SELECT date_trunc('day', bucket_start, 'UTC'), org_id, dimension, value, sum(response_times), sum(first_byte_times)
FROM latency_hourly
GROUP BY 1, 2, 3, 4;
