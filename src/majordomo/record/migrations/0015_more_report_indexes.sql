-- What failed, by the metadata keys that are active.
CREATE INDEX llm_requests_failed_metadata ON llm_requests
    USING gin (indexed_metadata jsonb_path_ops) WITH (fastupdate = on)
    WHERE status_code >= 400 OR outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost');
-- The requests of agent runs by gateway key, and as they came.
CREATE INDEX llm_requests_runs_of_key ON llm_requests (majordomo_api_key_id, requested_at) WHERE trace_id IS NOT NULL;
