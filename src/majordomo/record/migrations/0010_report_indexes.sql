-- Reports about what failed and what is uncertain come from these alone: they hold every column that such a question
-- filters or groups by, in some bytes for one row in a hundred.
CREATE INDEX llm_requests_failed ON llm_requests (requested_at)
    INCLUDE (org_id, majordomo_api_key_id, provider, model, status_code, outcome, error_type)
    WHERE status_code >= 400 OR outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost');

DROP INDEX llm_requests_uncertain;
CREATE INDEX llm_requests_uncertain ON llm_requests (requested_at)
    INCLUDE (org_id, majordomo_api_key_id, provider, model, usage_state, outcome)
    WHERE usage_state = 'estimated' OR outcome = 'lost';

-- The requests of an agent run. A hash, as callers may choose a longer name than an entry of a btree has room for.
CREATE INDEX llm_requests_run ON llm_requests USING hash (trace_id) WHERE trace_id IS NOT NULL;
