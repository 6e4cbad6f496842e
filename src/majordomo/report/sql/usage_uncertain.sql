-- How many rows are not the provider's own last word: estimated counts, and requests whose end was never learnt.
-- Filters: time [$1, $2), $3 keys, $4 provider, $5 model ('' for none), $6 metadata. Served by a partial index.
SELECT
    count(*) FILTER (WHERE usage_state = 'estimated') AS estimated,
    count(*) FILTER (WHERE outcome = 'lost') AS lost
FROM llm_requests
WHERE (usage_state = 'estimated' OR outcome = 'lost')
    AND requested_at >= $1 AND requested_at < $2
    AND ($3::uuid[] IS NULL OR majordomo_api_key_id = ANY ($3))
    AND ($4::text IS NULL OR provider = $4)
    AND ($5::text IS NULL OR coalesce(model, '') = $5)
    AND ($6::jsonb IS NULL OR raw_metadata @> $6)
