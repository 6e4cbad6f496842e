-- How many rows are not the provider's own last word: estimated counts, and requests whose end was never learnt.
-- Served by a partial index.
SELECT
    count(*) FILTER (WHERE r.usage_state = 'estimated') AS estimated,
    count(*) FILTER (WHERE r.outcome = 'lost') AS lost
FROM {source}
WHERE (r.usage_state = 'estimated' OR r.outcome = 'lost') AND {conditions}
