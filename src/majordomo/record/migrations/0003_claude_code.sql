-- What is known of Claude Code's requests and sessions besides what the first version kept.
-- usage_cost is what the CLI's own /usage books, which are IEEE doubles: the same arithmetic, so that its sum in the order
-- of booking equals the CLI's total to the last bit. What the provider bills is llm_requests.total_cost, exact as ever.
ALTER TABLE claude_request_details
    ADD COLUMN usage_cost           double precision NOT NULL DEFAULT 0,
    ADD COLUMN query_class          text,
    ADD COLUMN agent_id             text,
    ADD COLUMN parent_agent_id      text,
    ADD COLUMN client_session_id    uuid,
    ADD COLUMN client_version       text,
    ADD COLUMN effort               text,
    ADD COLUMN context_window       int;

ALTER TABLE claude_sessions
    ADD COLUMN source               text NOT NULL DEFAULT 'companion' CHECK (source IN ('companion', 'client')),
    ADD COLUMN last_request_at      timestamptz,
    ADD COLUMN usage_cost           double precision NOT NULL DEFAULT 0,
    ADD COLUMN ended_by             text CHECK (ended_by IN ('owner', 'idle'));

-- The requests of a session. Those that name none are not in it, and cost it nothing.
CREATE INDEX llm_requests_claude_session ON llm_requests (claude_session_id, requested_at)
    WHERE claude_session_id IS NOT NULL;

-- Sessions that may have to be closed for idleness.
CREATE INDEX claude_sessions_open ON claude_sessions (coalesce(last_request_at, started_at)) WHERE ended_at IS NULL;

-- Front desks know whose a session is without asking. The payload is the session's id and its key's.
CREATE FUNCTION majordomo_notify_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('majordomo_sessions', NEW.id::text || ' ' || NEW.majordomo_api_key_id::text);
    RETURN NULL;
END $$;

CREATE TRIGGER claude_sessions_notify_made AFTER INSERT ON claude_sessions
    FOR EACH ROW EXECUTE FUNCTION majordomo_notify_session();
