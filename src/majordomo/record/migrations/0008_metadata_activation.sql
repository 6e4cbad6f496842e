-- Metadata keys that are active for a whole organisation: gateway keys that begin to send one later have it active, too.
CREATE TABLE metadata_activations (
    org_id          uuid NOT NULL,
    key_name        varchar(255) NOT NULL,
    activated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, key_name)
);

-- How far the rows that were there before a metadata key became active have been brought into its index and sums. Changes
-- in the same transaction as they do. Valid for one activation: another activated_at begins anew.
CREATE TABLE metadata_backfills (
    majordomo_api_key_id    uuid NOT NULL,
    key_name                varchar(255) NOT NULL,
    org_id                  uuid NOT NULL,
    activated_at            timestamptz NOT NULL,
    started_at              timestamptz NOT NULL DEFAULT now(),
    after_at                timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00',  -- rows up to this one are done
    after_id                uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    rows_total              bigint NOT NULL,  -- of the gateway key, as the sums had it
    rows_seen               bigint NOT NULL DEFAULT 0,
    rows_filled             bigint NOT NULL DEFAULT 0,
    updated_at              timestamptz NOT NULL DEFAULT now(),
    finished_at             timestamptz,
    PRIMARY KEY (majordomo_api_key_id, key_name, org_id)
) WITH (fillfactor = 70);
