-- Stand-ins for providers' credentials: callers send one, the front desk sends the real one on in its place.
CREATE TABLE proxy_keys (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    name            text NOT NULL,
    description     text,
    key_hash        varchar(64) NOT NULL UNIQUE,  -- SHA-256 of the key, in hex
    is_active       bool NOT NULL DEFAULT true,
    created_at      timestamptz NOT NULL DEFAULT now(),
    revoked_at      timestamptz
);

CREATE TABLE proxy_key_providers (
    proxy_key_id    uuid NOT NULL REFERENCES proxy_keys ON DELETE CASCADE,
    provider        varchar(100) NOT NULL,
    credential      bytea NOT NULL,  -- AES-256-GCM: 12 bytes of nonce, then text and tag; the secret is in the data directory
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (proxy_key_id, provider)
);

-- Front desks keep all of them in memory and listen here; whatever changed, they load them anew.
CREATE FUNCTION majordomo_notify_proxy_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('majordomo_proxy_keys', '');
    RETURN NULL;
END $$;

CREATE TRIGGER proxy_keys_notify AFTER INSERT OR UPDATE OR DELETE ON proxy_keys
    FOR EACH ROW EXECUTE FUNCTION majordomo_notify_proxy_keys();
CREATE TRIGGER proxy_key_providers_notify AFTER INSERT OR UPDATE OR DELETE ON proxy_key_providers
    FOR EACH ROW EXECUTE FUNCTION majordomo_notify_proxy_keys();
