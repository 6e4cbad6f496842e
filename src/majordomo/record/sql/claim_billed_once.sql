-- Claims what may be billed only once for the requests that tell it; returns those that were the first. Waits for other
-- transactions that claim the same, in one order for all writers. $5: microseconds since the epoch.
INSERT INTO billed_once (org_id, provider, what, llm_request_id, requested_at)
SELECT org_id, provider, what, request_id, 'epoch'::timestamptz + requested_us * interval '1 microsecond'
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::bigint[])
    AS given (org_id, provider, what, request_id, requested_us)
ORDER BY org_id, provider, what
ON CONFLICT (org_id, provider, what) DO NOTHING
RETURNING llm_request_id
