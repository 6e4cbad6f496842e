-- One row per proxied request. Cut by month on requested_at, so that retention drops a table instead of deleting rows.
-- The default partition takes what no month claims: a skewed clock must never refuse a row.
-- org_id stands in every key so that the tables can be sharded by owner; the nil UUID is the one organisation of an
-- installation that knows no others.
CREATE TABLE llm_requests (
    id                          uuid NOT NULL,
    org_id                      uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    majordomo_api_key_id        uuid NOT NULL,
    provider_api_key_hash       varchar(64),
    provider_api_key_alias      varchar(255),
    provider                    varchar(100) NOT NULL,
    model                       varchar(100),
    requested_model             varchar(100),
    api                         text NOT NULL,
    request_path                text NOT NULL,
    request_method              text NOT NULL,
    requested_at                timestamptz NOT NULL,
    responded_at                timestamptz,
    response_time_ms            int,
    time_to_first_byte_ms       int,
    status_code                 int,
    outcome                     text NOT NULL,
    streamed                    bool,
    -- tokens: the provider's own numbers; prompt_tokens is uncached + cache read + cache write, whatever the provider
    input_tokens                int,
    output_tokens               int,
    cached_tokens               int,
    cache_creation_tokens       int,
    cache_creation_5m_tokens    int,
    cache_creation_1h_tokens    int,
    reasoning_tokens            int,
    prompt_tokens               int,
    usage_state                 text NOT NULL,
    usage                       jsonb,
    service_tier                text,
    -- USD, exact; NULL where no price is known. No scale: one cached token at 0.0375 USD a million has eleven decimals.
    input_cost                  numeric,
    output_cost                 numeric,
    cache_read_cost             numeric,
    cache_creation_cost         numeric,
    tool_cost                   numeric,
    total_cost                  numeric,
    price_version               text,
    model_alias_found           bool NOT NULL DEFAULT false,
    billed                      jsonb,
    error_type                  text,
    error_message               text,
    problems                    text[] NOT NULL DEFAULT '{}',
    raw_metadata                jsonb NOT NULL DEFAULT '{}',
    indexed_metadata            jsonb NOT NULL DEFAULT '{}',
    client                      text,
    claude_session_id           uuid,
    agent_id                    text,
    parent_agent_id             text,
    trace_id                    text,
    span_path                   text,
    span_name                   text,
    request_body                text,
    response_body               text,
    body_s3_key                 text,
    created_at                  timestamptz NOT NULL DEFAULT now(),
    synced_to_butler            bool NOT NULL DEFAULT false,
    overridden_metadata         jsonb NOT NULL DEFAULT '{}',  -- the caller's, where the gateway key's own stands above
    delivered_from              uuid,  -- the companion's journal that the row came from; NULL: it went through the gateway
    PRIMARY KEY (id, requested_at, org_id)
) PARTITION BY RANGE (requested_at);

CREATE TABLE llm_requests_default PARTITION OF llm_requests DEFAULT;

CREATE INDEX llm_requests_requested_at ON llm_requests (requested_at);
CREATE INDEX llm_requests_api_key ON llm_requests (majordomo_api_key_id, requested_at DESC);
-- path_ops answers @> alone, in three quarters of the space; fastupdate keeps its upkeep off the single row.
CREATE INDEX llm_requests_indexed_metadata ON llm_requests
    USING gin (indexed_metadata jsonb_path_ops) WITH (fastupdate = on);
-- What a later price may still bill.
CREATE INDEX llm_requests_unpriced ON llm_requests (requested_at)
    WHERE total_cost IS NULL AND usage_state <> 'none';
-- What failed, and what is not the provider's own last word: reports on these come from the indexes alone.
CREATE INDEX llm_requests_failed ON llm_requests (requested_at)
    INCLUDE (org_id, majordomo_api_key_id, provider, model, status_code, outcome, error_type)
    WHERE status_code >= 400 OR outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost');
CREATE INDEX llm_requests_failed_metadata ON llm_requests
    USING gin (indexed_metadata jsonb_path_ops) WITH (fastupdate = on)
    WHERE status_code >= 400 OR outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost');
CREATE INDEX llm_requests_uncertain ON llm_requests (requested_at)
    INCLUDE (org_id, majordomo_api_key_id, provider, model, usage_state, outcome)
    WHERE usage_state = 'estimated' OR outcome = 'lost';
-- The requests of a session. Those that name none are not in it, and cost it nothing.
CREATE INDEX llm_requests_claude_session ON llm_requests (claude_session_id, requested_at)
    WHERE claude_session_id IS NOT NULL;

-- The requests of an agent run. A hash, as callers may choose a longer name than an entry of a btree has room for.
CREATE INDEX llm_requests_run ON llm_requests USING hash (trace_id) WHERE trace_id IS NOT NULL;
-- And by time: a page of runs is found by walking back through their requests, of which
-- only those that pass its filters are fetched.
CREATE INDEX llm_requests_runs_by_time ON llm_requests (requested_at)
    INCLUDE (id, org_id, majordomo_api_key_id, provider, model)
    WHERE trace_id IS NOT NULL;

CREATE TABLE api_keys (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    name            text NOT NULL,
    description     text,
    key_hash        varchar(64) NOT NULL UNIQUE,  -- SHA-256 of the key, in hex
    is_active       bool NOT NULL DEFAULT true,
    on_hangup       text CHECK (on_hangup IN ('drain', 'cut')),  -- NULL: the setting of the same name
    metadata        jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    revoked_at      timestamptz,
    last_used_at    timestamptz,
    request_count   bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);  -- counts change with every batch: room for the new version on the same page

CREATE TABLE llm_requests_metadata_keys (
    majordomo_api_key_id    uuid NOT NULL,
    key_name                varchar(255) NOT NULL,
    org_id                  uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    display_name            varchar(255),
    key_type                varchar(50) NOT NULL DEFAULT 'string',
    is_required             bool NOT NULL DEFAULT false,
    is_active               bool NOT NULL DEFAULT false,
    activated_at            timestamptz,
    request_count           bigint NOT NULL DEFAULT 0,
    last_seen_at            timestamptz,
    hll_state               bytea,
    approx_cardinality      int NOT NULL DEFAULT 0,
    hll_updated_at          timestamptz,
    rollup_stopped_at       timestamptz,  -- since then the key has too many values for usage_by_metadata_*
    created_at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (majordomo_api_key_id, key_name, org_id)
) WITH (fillfactor = 70);
-- Out of line and as it is: a row whose counts change does not write its 4 KiB sketch again.
ALTER TABLE llm_requests_metadata_keys ALTER COLUMN hll_state SET STORAGE EXTERNAL;
CREATE INDEX llm_requests_metadata_keys_active ON llm_requests_metadata_keys (majordomo_api_key_id, is_active);

-- Metadata keys that are active for a whole organisation: gateway keys that begin to send one later have it active, too.
CREATE TABLE metadata_activations (
    org_id          uuid NOT NULL,
    key_name        varchar(255) NOT NULL,
    activated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, key_name)
);

-- How far the rows that were there before a metadata key became active have been brought into its index and sums. Changes
-- in the same transaction as they do. Valid for one activation: another activated_at begins anew.
CREATE TABLE metadata_backfills (
    majordomo_api_key_id    uuid NOT NULL,
    key_name                varchar(255) NOT NULL,
    org_id                  uuid NOT NULL,
    activated_at            timestamptz NOT NULL,
    started_at              timestamptz NOT NULL DEFAULT now(),
    after_at                timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00',  -- rows up to this one are done
    after_id                uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    rows_total              bigint NOT NULL,  -- of the gateway key, as the sums had it
    rows_seen               bigint NOT NULL DEFAULT 0,
    rows_filled             bigint NOT NULL DEFAULT 0,
    updated_at              timestamptz NOT NULL DEFAULT now(),
    finished_at             timestamptz,
    PRIMARY KEY (majordomo_api_key_id, key_name, org_id)
) WITH (fillfactor = 70);

CREATE TABLE claude_sessions (
    id                      uuid NOT NULL,
    org_id                  uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    majordomo_api_key_id    uuid NOT NULL,
    session_name            text,
    started_at              timestamptz NOT NULL DEFAULT now(),
    ended_at                timestamptz,
    total_requests          bigint NOT NULL DEFAULT 0,
    total_input_tokens      bigint NOT NULL DEFAULT 0,
    total_output_tokens     bigint NOT NULL DEFAULT 0,
    total_cost              numeric NOT NULL DEFAULT 0,
    created_at              timestamptz NOT NULL DEFAULT now(),
    source                  text NOT NULL DEFAULT 'companion' CHECK (source IN ('companion', 'client')),
    last_request_at         timestamptz,
    usage_cost              double precision NOT NULL DEFAULT 0,
    ended_by                text CHECK (ended_by IN ('owner', 'idle')),
    PRIMARY KEY (id, org_id)
) WITH (fillfactor = 70);
CREATE INDEX claude_sessions_api_key ON claude_sessions (majordomo_api_key_id, started_at DESC);
-- Sessions that may have to be closed for idleness.
CREATE INDEX claude_sessions_open ON claude_sessions (coalesce(last_request_at, started_at)) WHERE ended_at IS NULL;

-- created_at is its request's requested_at, so that both leave together.
CREATE TABLE claude_request_details (
    id                      uuid NOT NULL,
    org_id                  uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    llm_request_id          uuid NOT NULL,
    session_id              uuid,
    message_count           int,
    user_message_count      int,
    assistant_message_count int,
    tool_names              text[] NOT NULL DEFAULT '{}',
    tool_use_count          int NOT NULL DEFAULT 0,
    has_thinking            bool NOT NULL DEFAULT false,
    is_plan_mode            bool NOT NULL DEFAULT false,
    stop_reason             text,
    system_prompt_hash      varchar(64),
    created_at              timestamptz NOT NULL DEFAULT now(),
    usage_cost              double precision NOT NULL DEFAULT 0,  -- what the CLI's own /usage books: its own doubles
    query_class             text,
    agent_id                text,
    parent_agent_id         text,
    client_session_id       uuid,
    client_version          text,
    effort                  text,
    context_window          int,
    PRIMARY KEY (id, created_at, org_id)
) PARTITION BY RANGE (created_at);

CREATE TABLE claude_request_details_default PARTITION OF claude_request_details DEFAULT;

CREATE INDEX claude_request_details_request ON claude_request_details (llm_request_id);
CREATE INDEX claude_request_details_session ON claude_request_details (session_id, created_at);

-- Usage by one dimension at a time, written with the rows. A cross-product of dimensions has nearly as many cells as
-- there are requests; these have few. bucket_start is the UTC hour or day of requested_at. The four tables share all
-- columns after their dimension:
--   errors    status_code >= 400, or outcome provider_broke, refused, gateway_stopped or lost
--   unpriced  something was used (usage_state other than none) and no price is known
--   timed_requests, response_time_ms   how many have a response time, and its sum
CREATE TABLE usage_by_model_hourly (
    bucket_start            timestamptz NOT NULL,
    org_id                  uuid NOT NULL,
    majordomo_api_key_id    uuid NOT NULL,
    provider                varchar(100) NOT NULL,
    model                   varchar(100) NOT NULL,  -- '' where the row has none
    requests                bigint NOT NULL,
    errors                  bigint NOT NULL,
    unpriced                bigint NOT NULL,
    timed_requests          bigint NOT NULL,
    response_time_ms        bigint NOT NULL,
    input_tokens            bigint NOT NULL,
    output_tokens           bigint NOT NULL,
    cached_tokens           bigint NOT NULL,
    cache_creation_tokens   bigint NOT NULL,
    reasoning_tokens        bigint NOT NULL,
    prompt_tokens           bigint NOT NULL,
    input_cost              numeric NOT NULL,
    output_cost             numeric NOT NULL,
    cache_read_cost         numeric NOT NULL,
    cache_creation_cost     numeric NOT NULL,
    tool_cost               numeric NOT NULL,
    total_cost              numeric NOT NULL,
    PRIMARY KEY (bucket_start, majordomo_api_key_id, provider, model, org_id)
) WITH (fillfactor = 70);

CREATE TABLE usage_by_model_daily (
    LIKE usage_by_model_hourly INCLUDING ALL
) WITH (fillfactor = 70);

-- Active metadata keys only. A value longer than 256 characters is cut, with a digest of the whole at its end.
CREATE TABLE usage_by_metadata_hourly (
    bucket_start            timestamptz NOT NULL,
    org_id                  uuid NOT NULL,
    majordomo_api_key_id    uuid NOT NULL,
    key_name                varchar(255) NOT NULL,
    key_value               text NOT NULL,
    requests                bigint NOT NULL,
    errors                  bigint NOT NULL,
    unpriced                bigint NOT NULL,
    timed_requests          bigint NOT NULL,
    response_time_ms        bigint NOT NULL,
    input_tokens            bigint NOT NULL,
    output_tokens           bigint NOT NULL,
    cached_tokens           bigint NOT NULL,
    cache_creation_tokens   bigint NOT NULL,
    reasoning_tokens        bigint NOT NULL,
    prompt_tokens           bigint NOT NULL,
    input_cost              numeric NOT NULL,
    output_cost             numeric NOT NULL,
    cache_read_cost         numeric NOT NULL,
    cache_creation_cost     numeric NOT NULL,
    tool_cost               numeric NOT NULL,
    total_cost              numeric NOT NULL,
    PRIMARY KEY (key_name, bucket_start, majordomo_api_key_id, key_value, org_id)
) WITH (fillfactor = 70);

CREATE TABLE usage_by_metadata_daily (
    LIKE usage_by_metadata_hourly INCLUDING ALL
) WITH (fillfactor = 70);

-- Histograms of response time and time to first byte, written with the rows, for all requests of an organisation
-- (dimension '') and by provider, model and key. Each is one number in base 10^12: its lowest digit counts the requests of
-- up to 1 ms, each further one those of a step 1.05 times as wide. So sums of numbers are histograms of sums.
CREATE TABLE latency_hourly (
    bucket_start        timestamptz NOT NULL,
    org_id              uuid NOT NULL,
    dimension           text NOT NULL,
    value               text NOT NULL,  -- '' for all, and where a request names no model
    response_times      numeric NOT NULL,
    first_byte_times    numeric NOT NULL,
    PRIMARY KEY (org_id, dimension, bucket_start, value)
) WITH (fillfactor = 70);

CREATE TABLE latency_daily (
    LIKE latency_hourly INCLUDING ALL
) WITH (fillfactor = 70);

-- Usage by two dimensions at a time, of hours and days that are over: hours are summed from the rows a while after they
-- ended, days from hours. bucket_start, errors, unpriced and the histograms are as in usage_by_model and latency.
CREATE TABLE usage_by_pair_hourly (
    org_id                  uuid NOT NULL,
    bucket_start            timestamptz NOT NULL,
    first_dimension         text NOT NULL,  -- model, key, client, query_class, or metadata. and the name of a metadata key
    second_dimension        text NOT NULL,
    first_value             text,  -- NULL: the requests that have none
    second_value            text,
    provider                varchar(100) NOT NULL,  -- '' unless the first dimension is model
    requests                bigint NOT NULL,
    errors                  bigint NOT NULL,
    unpriced                bigint NOT NULL,
    timed_requests          bigint NOT NULL,
    response_time_ms        bigint NOT NULL,
    input_tokens            bigint NOT NULL,
    output_tokens           bigint NOT NULL,
    cached_tokens           bigint NOT NULL,
    cache_creation_tokens   bigint NOT NULL,
    reasoning_tokens        bigint NOT NULL,
    prompt_tokens           bigint NOT NULL,
    estimated               bigint NOT NULL,  -- usage_state estimated
    lost                    bigint NOT NULL,  -- outcome lost
    input_cost              numeric NOT NULL,
    output_cost             numeric NOT NULL,
    cache_read_cost         numeric NOT NULL,
    cache_creation_cost     numeric NOT NULL,
    tool_cost               numeric NOT NULL,
    total_cost              numeric NOT NULL,
    response_times          numeric,  -- NULL unless the first dimension is model: a histogram takes more room than the rest
    first_byte_times        numeric
);
CREATE INDEX usage_by_pair_hourly_cells ON usage_by_pair_hourly
    (org_id, first_dimension, second_dimension, bucket_start, first_value, second_value);

CREATE TABLE usage_by_pair_daily (
    LIKE usage_by_pair_hourly INCLUDING ALL
);

-- The second halves of hours, in the cells of usage_by_pair_hourly: for time zones whose days or hours begin at half past.
-- Only of the hours of the UTC day that somebody of the organisation has asked about.
CREATE TABLE usage_by_pair_half (
    LIKE usage_by_pair_hourly INCLUDING ALL
);
CREATE TABLE pair_halves_wanted (
    org_id      uuid NOT NULL,
    utc_hour    smallint NOT NULL CHECK (utc_hour BETWEEN 0 AND 23),
    PRIMARY KEY (org_id, utc_hour)
);

-- The hours and days that have requests, and whether their sums by two dimensions are those of the rows. Whoever writes
-- rows says so here in the same transaction; questions read the rows of an hour whose sums are not current.
CREATE TABLE pair_periods (
    org_id                  uuid NOT NULL,
    tier                    text NOT NULL CHECK (tier IN ('hourly', 'daily')),
    bucket_start            timestamptz NOT NULL,
    is_current              bool NOT NULL DEFAULT false,
    is_due                  bool NOT NULL DEFAULT true,  -- to be summed; a current one by more dimensions
    dimensions              text[] NOT NULL DEFAULT '{}',  -- whose pairs are summed
    wanted                  text[] NOT NULL DEFAULT '{}',  -- whose were to be: those with overlong values are left out
    claimed_at              timestamptz,  -- somebody sums; nobody has written since
    rest_until              timestamptz NOT NULL DEFAULT '-infinity',  -- not summed again before
    has_half                bool NOT NULL DEFAULT false,  -- an hour's second half is summed, too
    PRIMARY KEY (org_id, tier, bucket_start)
) WITH (fillfactor = 70);
CREATE INDEX pair_periods_due ON pair_periods (bucket_start) WHERE is_due;

-- What several requests can be told the usage of, and the one that was billed for it: the results of a batch, a response
-- that ran in the background. Written in the transaction of that request's row, so that no two replicas both bill it.
-- Kept for ever: a batch can be downloaded, and a response be asked for, for as long as its provider keeps it.
CREATE TABLE billed_once (
    org_id          uuid NOT NULL,
    provider        varchar(100) NOT NULL,
    what            text NOT NULL,  -- batch:ID, response:ID
    llm_request_id  uuid NOT NULL,
    requested_at    timestamptz NOT NULL,
    PRIMARY KEY (org_id, provider, what)
);

-- How far each journal has been moved into the tables above; changes in the same transaction as they do.
CREATE TABLE journal_positions (
    journal_id      uuid PRIMARY KEY,
    segment         int NOT NULL DEFAULT 0,
    byte_offset     bigint NOT NULL DEFAULT 0,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz  -- its process is gone and nothing is left in it; the files may go too
) WITH (fillfactor = 70);

-- Requests still running when the position left the segment that holds their opening, so that the segment can go.
CREATE TABLE journal_openings (
    journal_id      uuid NOT NULL,
    request_id      uuid NOT NULL,
    frame           bytea NOT NULL,  -- the payload of the opening frame
    PRIMARY KEY (journal_id, request_id)
);

-- How many requests of each companion's journal have been taken; changes in the same transaction as the rows. Apart from
-- journal_positions, so that nothing a caller says can touch a journal of the gateway's own.
CREATE TABLE delivered_journals (
    journal_id              uuid NOT NULL,
    org_id                  uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    majordomo_api_key_id    uuid NOT NULL,  -- whose journal it is: the key that delivered its first requests
    position                bigint NOT NULL DEFAULT 0,
    created_at              timestamptz NOT NULL DEFAULT now(),
    updated_at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (journal_id, org_id)
) WITH (fillfactor = 70);

-- Front desks decide from memory and listen here for what changed. The payload is the key's id.
CREATE FUNCTION majordomo_notify_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('majordomo_keys', CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END::text);
    RETURN NULL;
END $$;

CREATE TRIGGER api_keys_notify_made AFTER INSERT OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION majordomo_notify_key();
-- Not on counts and last use: those change with every batch and decide nothing.
CREATE TRIGGER api_keys_notify_changed AFTER UPDATE ON api_keys
    FOR EACH ROW WHEN (
        (OLD.key_hash, OLD.is_active, OLD.revoked_at, OLD.on_hangup, OLD.org_id, OLD.metadata)
        IS DISTINCT FROM (NEW.key_hash, NEW.is_active, NEW.revoked_at, NEW.on_hangup, NEW.org_id, NEW.metadata)
    ) EXECUTE FUNCTION majordomo_notify_key();

-- The payload is the id of the API key that owns the metadata key.
CREATE FUNCTION majordomo_notify_metadata_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('majordomo_metadata_keys',
        CASE TG_OP WHEN 'DELETE' THEN OLD.majordomo_api_key_id ELSE NEW.majordomo_api_key_id END::text);
    RETURN NULL;
END $$;

CREATE TRIGGER metadata_keys_notify_made AFTER INSERT ON llm_requests_metadata_keys
    FOR EACH ROW WHEN (NEW.is_active) EXECUTE FUNCTION majordomo_notify_metadata_key();
CREATE TRIGGER metadata_keys_notify_changed AFTER UPDATE ON llm_requests_metadata_keys
    FOR EACH ROW WHEN (
        (OLD.is_active, OLD.rollup_stopped_at) IS DISTINCT FROM (NEW.is_active, NEW.rollup_stopped_at)
    ) EXECUTE FUNCTION majordomo_notify_metadata_key();
CREATE TRIGGER metadata_keys_notify_gone AFTER DELETE ON llm_requests_metadata_keys
    FOR EACH ROW WHEN (OLD.is_active) EXECUTE FUNCTION majordomo_notify_metadata_key();

-- Front desks know whose a session is without asking. The payload is the session's id and its key's.
CREATE FUNCTION majordomo_notify_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('majordomo_sessions', NEW.id::text || ' ' || NEW.majordomo_api_key_id::text);
    RETURN NULL;
END $$;

CREATE TRIGGER claude_sessions_notify_made AFTER INSERT ON claude_sessions
    FOR EACH ROW EXECUTE FUNCTION majordomo_notify_session();

-- Limits on what may be spent. Amounts (limit, raise, spent, lease) are USD where the unit is usd, else a count.
CREATE TABLE budgets (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    name            text NOT NULL,
    scope           jsonb NOT NULL DEFAULT '{}',  -- keys, metadata, each, models, providers, sessions; all must be met
    unit            text NOT NULL CHECK (
        unit IN (
            'usd', 'tokens', 'input_tokens', 'uncached_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens',
            'reasoning_tokens', 'requests', 'turns', 'concurrent')),
    limit_amount    numeric NOT NULL CHECK (limit_amount > 0),
    time_window     text NOT NULL,  -- day, rolling:24h, session, lifetime, ...
    time_zone       text NOT NULL DEFAULT 'UTC',
    week_start      int NOT NULL DEFAULT 0 CHECK (week_start BETWEEN 0 AND 6),  -- 0 is Monday
    month_start     int NOT NULL DEFAULT 1 CHECK (month_start BETWEEN 1 AND 31),
    mode            text NOT NULL DEFAULT 'balanced' CHECK (mode IN ('strict', 'balanced')),
    action          text NOT NULL DEFAULT 'enforce' CHECK (action IN ('enforce', 'warn')),
    on_unpriced     text NOT NULL DEFAULT 'refuse' CHECK (on_unpriced IN ('refuse', 'allow', 'ceiling')),
    ceiling         numeric,  -- USD a million tokens
    fail            text NOT NULL DEFAULT 'open' CHECK (fail IN ('open', 'closed')),
    warn_at         int[] NOT NULL DEFAULT '{}',  -- per cent of the limit
    contact         text,
    paused          bool NOT NULL DEFAULT false,
    counts_from     timestamptz NOT NULL,  -- earlier requests are not counted
    revision        bigint NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    deleted_at      timestamptz
);
CREATE UNIQUE INDEX budgets_name ON budgets (org_id, name) WHERE deleted_at IS NULL;

-- A limit lifted for a while.
CREATE TABLE budget_raises (
    id              uuid PRIMARY KEY,
    budget_id       uuid NOT NULL REFERENCES budgets,
    amount          numeric NOT NULL CHECK (amount > 0),  -- added to the limit
    until           timestamptz NOT NULL,
    reason          text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX budget_raises_budget ON budget_raises (budget_id, until);

-- Every change that was ever made to a budget, and who made it. old and new hold the whole budget.
CREATE TABLE budget_changes (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    budget_id       uuid NOT NULL REFERENCES budgets,
    org_id          uuid NOT NULL,
    changed_at      timestamptz NOT NULL DEFAULT now(),
    changed_by      text NOT NULL,
    what            text NOT NULL CHECK (what IN ('created', 'updated', 'raised', 'paused', 'resumed', 'deleted')),
    reason          text,
    old             jsonb,
    new             jsonb
);
CREATE INDEX budget_changes_budget ON budget_changes (budget_id, id);

-- What the requests of one window have used of a budget: always the sum over their rows, as it is written with them.
-- One count for each value of what the budget counts apart ('' otherwise, and where a request tells no value). A rolling
-- window has one for each of its steps.
CREATE TABLE budget_cells (
    budget_id       uuid NOT NULL REFERENCES budgets,
    each_value      text NOT NULL,
    window_start    timestamptz NOT NULL,
    spent           numeric NOT NULL DEFAULT 0,
    requests        bigint NOT NULL DEFAULT 0,
    unpriced        bigint NOT NULL DEFAULT 0,  -- requests whose cost nobody knows
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (budget_id, each_value, window_start)
) WITH (fillfactor = 70);
CREATE INDEX budget_cells_window ON budget_cells (budget_id, window_start);

-- What front desks have taken of what is left, to spend without asking. A request's row lowers the lease of the front
-- desk that served it by what it adds to the spent amount, in the same transaction; so spent and leases together never
-- exceed a limit that is kept strictly.
CREATE TABLE budget_leases (
    budget_id       uuid NOT NULL REFERENCES budgets,
    each_value      text NOT NULL,
    window_start    timestamptz NOT NULL,  -- as in budget_cells; the Unix epoch for a rolling window
    holder          uuid NOT NULL,  -- the front desk's journal
    amount          numeric NOT NULL CHECK (amount >= 0),
    settled         numeric NOT NULL DEFAULT 0,  -- what its rows have used since it was taken
    at_risk         numeric NOT NULL DEFAULT 0,  -- what its running requests may use at worst beyond it, as last told
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (budget_id, each_value, window_start, holder)
) WITH (fillfactor = 70);
CREATE INDEX budget_leases_holder ON budget_leases (holder);

-- A threshold that was reached: once for each count and threshold.
CREATE TABLE budget_alerts (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    budget_id       uuid NOT NULL REFERENCES budgets,
    each_value      text NOT NULL,
    window_start    timestamptz NOT NULL,
    threshold       int NOT NULL,  -- per cent of the limit
    spent           numeric NOT NULL,
    limit_amount    numeric NOT NULL,  -- with what it was raised by
    created_at      timestamptz NOT NULL DEFAULT now(),
    told_at         timestamptz,  -- when the webhook took it
    UNIQUE (budget_id, each_value, window_start, threshold)
);
CREATE INDEX budget_alerts_untold ON budget_alerts (id) WHERE told_at IS NULL;

-- Grows with every change of a budget, so that whoever counts knows in one look whether it knows them all.
CREATE TABLE budget_revision (
    only_row        bool PRIMARY KEY DEFAULT true CHECK (only_row),
    revision        bigint NOT NULL
);
INSERT INTO budget_revision (revision) VALUES (1);

-- Front desks and writers keep all budgets in memory and listen here. The payload is the budget's id.
CREATE FUNCTION majordomo_notify_budget() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed uuid;
BEGIN
    IF TG_TABLE_NAME = 'budgets' THEN
        changed := NEW.id;
    ELSE
        changed := NEW.budget_id;
    END IF;
    UPDATE budget_revision SET revision = revision + 1;
    PERFORM pg_notify('majordomo_budgets', changed::text);
    RETURN NULL;
END $$;

CREATE TRIGGER budgets_notify AFTER INSERT OR UPDATE ON budgets
    FOR EACH ROW EXECUTE FUNCTION majordomo_notify_budget();
CREATE TRIGGER budget_raises_notify AFTER INSERT OR UPDATE ON budget_raises
    FOR EACH ROW EXECUTE FUNCTION majordomo_notify_budget();

-- The seam between counting what is there and counting what comes. Who counts rows takes this lock together with others,
-- who changes what is counted takes it alone; so a row that is being written is either seen by the one who counts what is
-- there, or written by one who already knows the new budget. The number is "budgets!" read as a 64-bit integer.
CREATE FUNCTION majordomo_budget_revision() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7094687183238624033);
    RETURN (SELECT revision FROM budget_revision);  -- a statement of its own: it sees what was committed meanwhile
END $$;

-- Takes a lease, or adds to one that is held: at least p_least, up to p_want, in whole p_steps above p_least (0: any);
-- nothing if there is not so much left. Never more than a part of what is left, so that the last of it is not held by one
-- front desk while another refuses. Spent is the sum of the counts from p_from to p_to.
CREATE FUNCTION majordomo_lease(
    p_budget uuid, p_value text, p_window timestamptz, p_from timestamptz, p_to timestamptz, p_holder uuid,
    p_least numeric, p_want numeric, p_step numeric, p_seconds double precision,
    OUT granted numeric, OUT spent numeric, OUT leased numeric, OUT limit_now numeric, OUT held numeric,
    OUT settled numeric
) LANGUAGE plpgsql AS $$
DECLARE
    room numeric;
    more numeric;
    step numeric;
BEGIN
    -- One taker at a time for each count; what follows are statements of their own, which see what the one before did.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_budget::text || p_value, 0));
    -- Who could not renew because this server was away is given the time of a lease to come back.
    DELETE FROM budget_leases AS l
        WHERE l.budget_id = p_budget AND l.each_value = p_value AND l.window_start = p_window
            AND l.expires_at <= clock_timestamp()
            AND clock_timestamp() > pg_postmaster_start_time() + make_interval(secs => p_seconds);
    SELECT l.amount, l.settled INTO held, settled FROM budget_leases l
        WHERE l.budget_id = p_budget AND l.each_value = p_value AND l.window_start = p_window AND l.holder = p_holder;
    held := coalesce(held, 0);
    settled := coalesce(settled, 0);
    SELECT CASE b.unit WHEN 'usd' THEN p_step ELSE greatest(1, p_step) END, b.limit_amount + coalesce((
            SELECT sum(r.amount) FROM budget_raises r WHERE r.budget_id = b.id AND r.until > clock_timestamp()), 0),
        coalesce((
            SELECT sum(c.spent) FROM budget_cells c
            WHERE c.budget_id = p_budget AND c.each_value = p_value AND c.window_start BETWEEN p_from AND p_to), 0),
        coalesce((
            SELECT sum(l.amount) FROM budget_leases l
            WHERE l.budget_id = p_budget AND l.each_value = p_value AND l.window_start = p_window), 0)
        INTO step, limit_now, spent, leased
        FROM budgets b WHERE b.id = p_budget AND b.deleted_at IS NULL;
    granted := 0;
    IF limit_now IS NULL THEN
        RETURN;  -- there is no such budget any more
    END IF;
    room := limit_now - spent - leased;
    IF p_least <= 0 OR p_least > room THEN
        IF p_least > room AND leased > 0 THEN
            PERFORM pg_notify('majordomo_leases_wanted', p_budget::text);  -- who holds more than it needs gives it back
        END IF;
        RETURN;
    END IF;
    more := greatest(0, least(p_want, trunc(room / 4, 15)) - p_least);
    IF step > 0 THEN
        more := trunc(more / step) * step;
    END IF;
    granted := p_least + more;
    leased := leased + granted;
    held := held + granted;
    INSERT INTO budget_leases AS held (budget_id, each_value, window_start, holder, amount, expires_at)
        VALUES (p_budget, p_value, p_window, p_holder, granted, clock_timestamp() + make_interval(secs => p_seconds))
        ON CONFLICT (budget_id, each_value, window_start, holder) DO UPDATE
            SET amount = held.amount + excluded.amount, expires_at = excluded.expires_at;
END $$;

-- Who may see and change what: organisations, their people, and what people sign in with.
-- The nil organisation is the one of an installation that knows no others; every key made so far belongs to it.
CREATE TABLE orgs (
    id                  uuid PRIMARY KEY,
    name                text NOT NULL UNIQUE,
    created_at          timestamptz NOT NULL DEFAULT now()
);
INSERT INTO orgs (id, name) VALUES ('00000000-0000-0000-0000-000000000000', 'default');

CREATE TABLE users (
    id                  uuid PRIMARY KEY,
    org_id              uuid NOT NULL REFERENCES orgs,
    email               text NOT NULL UNIQUE,  -- in small letters
    name                text NOT NULL,
    role                text NOT NULL CHECK (role IN ('admin', 'member')),
    password_hash       text,  -- argon2id; NULL until its first link was followed
    is_active           bool NOT NULL DEFAULT true,
    created_at          timestamptz NOT NULL DEFAULT now(),
    last_sign_in_at     timestamptz
);
CREATE INDEX users_org ON users (org_id);

-- Good for one use: whoever follows it sets the user's password. Only SHA-256 of links, sessions and tokens is kept.
CREATE TABLE sign_in_links (
    token_hash          varchar(64) PRIMARY KEY,
    user_id             uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz NOT NULL
);

CREATE TABLE user_sessions (
    token_hash          varchar(64) PRIMARY KEY,
    user_id             uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    csrf_token          text NOT NULL,  -- what a page of ours must repeat with whatever changes something
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz NOT NULL
);
CREATE INDEX user_sessions_user ON user_sessions (user_id);

CREATE TABLE user_tokens (
    id                  uuid PRIMARY KEY,
    user_id             uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name                text NOT NULL,
    token_hash          varchar(64) NOT NULL UNIQUE,
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz,
    last_used_at        timestamptz
);
CREATE INDEX user_tokens_user ON user_tokens (user_id);

-- Stand-ins for providers' credentials: callers send one, the front desk sends the real one on in its place.
CREATE TABLE proxy_keys (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    name            text NOT NULL,
    description     text,
    key_hash        varchar(64) NOT NULL UNIQUE,  -- SHA-256 of the key, in hex
    is_active       bool NOT NULL DEFAULT true,
    created_at      timestamptz NOT NULL DEFAULT now(),
    revoked_at      timestamptz
);

CREATE TABLE proxy_key_providers (
    proxy_key_id    uuid NOT NULL REFERENCES proxy_keys ON DELETE CASCADE,
    provider        varchar(100) NOT NULL,
    credential      bytea NOT NULL,  -- AES-256-GCM: 12 bytes of nonce, then text and tag; the secret is in the data directory
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (proxy_key_id, provider)
);

-- Front desks keep all of them in memory and listen here; whatever changed, they load them anew.
CREATE FUNCTION majordomo_notify_proxy_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('majordomo_proxy_keys', '');
    RETURN NULL;
END $$;

CREATE TRIGGER proxy_keys_notify AFTER INSERT OR UPDATE OR DELETE ON proxy_keys
    FOR EACH ROW EXECUTE FUNCTION majordomo_notify_proxy_keys();
CREATE TRIGGER proxy_key_providers_notify AFTER INSERT OR UPDATE OR DELETE ON proxy_key_providers
    FOR EACH ROW EXECUTE FUNCTION majordomo_notify_proxy_keys();
