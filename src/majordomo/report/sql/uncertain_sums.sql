-- The same counts from sums by two dimensions.
SELECT coalesce(sum(s.estimated), 0)::bigint AS estimated, coalesce(sum(s.lost), 0)::bigint AS lost
FROM {source}
WHERE {conditions}
