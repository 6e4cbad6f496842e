NOT EXISTS (
    SELECT FROM {{source}}
    WHERE r.trace_id IS NOT NULL AND r.trace_id = seen.run AND {{conditions}}
        AND (r.requested_at, r.trace_id) >= ({at}, {run})
)
