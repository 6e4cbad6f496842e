-- Every budget that is not deleted, with the raises that may still hold.
SELECT b.*, coalesce((
    SELECT jsonb_agg(jsonb_build_object('amount', r.amount::text, 'until', extract(epoch FROM r.until)::text,
        'reason', r.reason) ORDER BY r.created_at, r.id)
    FROM budget_raises r WHERE r.budget_id = b.id AND r.until > now()), '[]')::text AS raises
FROM budgets b WHERE b.deleted_at IS NULL
ORDER BY b.created_at, b.id
