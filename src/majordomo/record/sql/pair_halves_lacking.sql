-- Hours are to be summed again whose second half somebody wants and that have none; they serve meanwhile.
UPDATE pair_periods p SET is_due = true
FROM pair_halves_wanted w
WHERE p.org_id = w.org_id AND p.tier = 'hourly' AND NOT p.is_due AND NOT p.has_half
    AND extract(hour FROM p.bucket_start AT TIME ZONE 'UTC') = w.utc_hour
