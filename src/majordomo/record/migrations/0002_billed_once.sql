-- What several requests can be told the usage of, and the one that was billed for it: the results of a batch, a response
-- that ran in the background. Written in the transaction of that request's row, so that no two replicas both bill it.
-- Kept for ever: a batch can be downloaded, and a response be asked for, for as long as its provider keeps it.
CREATE TABLE billed_once (
    org_id          uuid NOT NULL,
    provider        varchar(100) NOT NULL,
    what            text NOT NULL,  -- batch:ID, response:ID
    llm_request_id  uuid NOT NULL,
    requested_at    timestamptz NOT NULL,
    PRIMARY KEY (org_id, provider, what)
);
