-- Makes the sessions that requests name for the first time. Waits for other transactions that make the same, in one
-- order for all writers. $5: microseconds since the epoch.
INSERT INTO claude_sessions (id, org_id, majordomo_api_key_id, session_name, started_at, source)
SELECT session_id, org_id, key_id, name, 'epoch'::timestamptz + first_us * interval '1 microsecond', source
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[])
    AS given (session_id, org_id, key_id, name, first_us, source)
ORDER BY session_id, org_id
ON CONFLICT (id, org_id) DO NOTHING
