-- Histograms of response time and time to first byte, by a value and a bucket of time. A step of the histogram is
-- {step} times as wide as the one before; step 0 is everything up to 1 ms.
SELECT {value} AS value, {bucket} AS bucket, t.measure,
    CASE WHEN t.ms <= 1 THEN 0 ELSE ceil(ln(t.ms::double precision) / ln({step}::double precision)) END::int AS step,
    count(*) AS requests
FROM {source}
CROSS JOIN LATERAL (VALUES ('response', r.response_time_ms), ('first_byte', r.time_to_first_byte_ms)) t (measure, ms)
WHERE t.ms IS NOT NULL AND {conditions}
GROUP BY 1, 2, 3, 4
