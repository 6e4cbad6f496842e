-- The hours ($2, as seconds since the epoch) and their days, each of an organisation ($1), have new or changed rows.
-- $1 and $2 are array literals. Whoever sums one of them meanwhile finds its claim gone.
INSERT INTO pair_periods (org_id, tier, bucket_start)
SELECT org_id, 'hourly', to_timestamp(hour_s)
FROM unnest($1::text::uuid[], $2::text::bigint[]) AS given (org_id, hour_s)
UNION
SELECT org_id, 'daily', date_trunc('day', to_timestamp(hour_s), 'UTC')
FROM unnest($1::text::uuid[], $2::text::bigint[]) AS given (org_id, hour_s)
ORDER BY 1, 2, 3
ON CONFLICT (org_id, tier, bucket_start) DO UPDATE SET is_current = false, is_due = true, claimed_at = NULL
    WHERE pair_periods.is_current OR pair_periods.claimed_at IS NOT NULL
