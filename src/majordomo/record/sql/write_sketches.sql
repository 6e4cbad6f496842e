-- $6: above this many values a key is too fine for the rollups, which would grow as large as the requests.
UPDATE llm_requests_metadata_keys AS present SET
    hll_state = given.state,
    approx_cardinality = given.cardinality,
    hll_updated_at = now(),
    rollup_stopped_at = CASE
        WHEN given.cardinality > $6 THEN coalesce(present.rollup_stopped_at, now()) ELSE present.rollup_stopped_at
    END
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bytea[], $5::int[]) AS given (key_id, name, org, state, cardinality)
WHERE present.majordomo_api_key_id = given.key_id AND present.key_name = given.name AND present.org_id = given.org
