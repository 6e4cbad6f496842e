-- Histograms of response time and time to first byte as numbers (see the table), by a value and a bucket of time.
SELECT {value} AS value, {bucket} AS bucket,
    sum(s.response_times)::text AS response, sum(s.first_byte_times)::text AS first_byte
FROM {source}
WHERE {conditions}
GROUP BY 1, 2
