-- The requests of agent runs by time: a page of runs is found by walking back through them.
CREATE INDEX llm_requests_runs_by_time ON llm_requests (requested_at) WHERE trace_id IS NOT NULL;
