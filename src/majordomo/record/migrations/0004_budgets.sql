-- Limits on what may be spent. Amounts (limit, raise, spent, lease) are USD where the unit is usd, else a count.
CREATE TABLE budgets (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    name            text NOT NULL,
    scope           jsonb NOT NULL DEFAULT '{}',  -- keys, metadata, each, models, providers, sessions; all must be met
    unit            text NOT NULL CHECK (
        unit IN ('usd', 'tokens', 'input_tokens', 'output_tokens', 'requests', 'turns', 'concurrent')),
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
