-- Writes a budget whole: a new one, or a change of one.
INSERT INTO budgets (id, org_id, name, scope, unit, limit_amount, time_window, time_zone, week_start, month_start, mode,
    action, on_unpriced, ceiling, fail, warn_at, contact, paused, counts_from, revision)
VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name,
    scope = excluded.scope,
    unit = excluded.unit,
    limit_amount = excluded.limit_amount,
    time_window = excluded.time_window,
    time_zone = excluded.time_zone,
    week_start = excluded.week_start,
    month_start = excluded.month_start,
    mode = excluded.mode,
    action = excluded.action,
    on_unpriced = excluded.on_unpriced,
    ceiling = excluded.ceiling,
    fail = excluded.fail,
    warn_at = excluded.warn_at,
    contact = excluded.contact,
    paused = excluded.paused,
    counts_from = excluded.counts_from,
    revision = excluded.revision,
    updated_at = clock_timestamp()
