-- Requests that a companion recorded on its own machine and handed over later.
ALTER TABLE llm_requests ADD COLUMN delivered_from uuid;

-- How many requests of each journal have been taken; changes in the same transaction as the rows. Apart from
-- journal_positions, so that nothing a caller says can touch a journal of the gateway's own.
CREATE TABLE delivered_journals (
    journal_id              uuid NOT NULL,
    org_id                  uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    majordomo_api_key_id    uuid NOT NULL,  -- whose journal it is: the key that delivered its first requests
    position                bigint NOT NULL DEFAULT 0,
    created_at              timestamptz NOT NULL DEFAULT now(),
    updated_at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (journal_id, org_id)
) WITH (fillfactor = 70);
