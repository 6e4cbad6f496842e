-- What failed, by the metadata keys that are active.
CREATE INDEX llm_requests_failed_metadata ON llm_requests
    USING gin (indexed_metadata jsonb_path_ops) WITH (fastupdate = on)
    WHERE status_code >= 400 OR outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost');
-- The walk back through the requests of runs fetches those alone that pass a page's filters.
DROP INDEX llm_requests_runs_by_time;
CREATE INDEX llm_requests_runs_by_time ON llm_requests (requested_at)
    INCLUDE (id, org_id, majordomo_api_key_id, provider, model)
    WHERE trace_id IS NOT NULL;
