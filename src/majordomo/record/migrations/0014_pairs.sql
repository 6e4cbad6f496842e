-- Usage by two dimensions at a time, of hours and days that are over: hours are summed from the rows a while after they
-- ended, days from hours. bucket_start, errors, unpriced and the histograms are as in usage_by_model and latency.
CREATE TABLE usage_by_pair_hourly (
    org_id                  uuid NOT NULL,
    bucket_start            timestamptz NOT NULL,
    first_dimension         text NOT NULL,  -- model, key, client, query_class, or metadata. and the name of a metadata key
    second_dimension        text NOT NULL,
    first_value             text,  -- NULL: the requests that have none
    second_value            text,
    provider                varchar(100) NOT NULL,  -- '' unless the first dimension is model
    requests                bigint NOT NULL,
    errors                  bigint NOT NULL,
    unpriced                bigint NOT NULL,
    timed_requests          bigint NOT NULL,
    response_time_ms        bigint NOT NULL,
    input_tokens            bigint NOT NULL,
    output_tokens           bigint NOT NULL,
    cached_tokens           bigint NOT NULL,
    cache_creation_tokens   bigint NOT NULL,
    reasoning_tokens        bigint NOT NULL,
    prompt_tokens           bigint NOT NULL,
    estimated               bigint NOT NULL,  -- usage_state estimated
    lost                    bigint NOT NULL,  -- outcome lost
    input_cost              numeric NOT NULL,
    output_cost             numeric NOT NULL,
    cache_read_cost         numeric NOT NULL,
    cache_creation_cost     numeric NOT NULL,
    tool_cost               numeric NOT NULL,
    total_cost              numeric NOT NULL,
    response_times          numeric,  -- NULL unless the first dimension is model: a histogram takes more room than the rest
    first_byte_times        numeric
);
CREATE INDEX usage_by_pair_hourly_cells ON usage_by_pair_hourly
    (org_id, first_dimension, second_dimension, bucket_start, first_value, second_value);

CREATE TABLE usage_by_pair_daily (
    LIKE usage_by_pair_hourly INCLUDING ALL
);

-- The hours and days that have requests, and whether their sums by two dimensions are those of the rows. Whoever writes
-- rows says so here in the same transaction; questions read the rows of an hour whose sums are not current.
CREATE TABLE pair_periods (
    org_id                  uuid NOT NULL,
    tier                    text NOT NULL CHECK (tier IN ('hourly', 'daily')),
    bucket_start            timestamptz NOT NULL,
    is_current              bool NOT NULL DEFAULT false,
    is_due                  bool NOT NULL DEFAULT true,  -- to be summed; a current one by more dimensions
    dimensions              text[] NOT NULL DEFAULT '{}',  -- whose pairs are summed
    wanted                  text[] NOT NULL DEFAULT '{}',  -- whose were to be: those with overlong values are left out
    claimed_at              timestamptz,  -- somebody sums; nobody has written since
    rest_until              timestamptz NOT NULL DEFAULT '-infinity',  -- not summed again before
    PRIMARY KEY (org_id, tier, bucket_start)
) WITH (fillfactor = 70);
CREATE INDEX pair_periods_due ON pair_periods (bucket_start) WHERE is_due;

-- What was recorded before. Nobody may add rows that these would miss.
LOCK TABLE llm_requests IN SHARE MODE;
INSERT INTO pair_periods (org_id, tier, bucket_start)
SELECT DISTINCT org_id, 'hourly', bucket_start FROM usage_by_model_hourly
UNION
SELECT DISTINCT org_id, 'daily', bucket_start FROM usage_by_model_daily;
