-- The first and the last request.
SELECT min(r.requested_at) AS first_at, max(r.requested_at) AS last_at FROM {source} WHERE {conditions}
