-- The second halves of hours, in the cells of usage_by_pair_hourly: for time zones whose days or hours begin at half past.
-- Only of the hours of the UTC day that somebody of the organisation has asked about.
CREATE TABLE usage_by_pair_half (
    LIKE usage_by_pair_hourly INCLUDING ALL
);
CREATE TABLE pair_halves_wanted (
    org_id      uuid NOT NULL,
    utc_hour    smallint NOT NULL CHECK (utc_hour BETWEEN 0 AND 23),
    PRIMARY KEY (org_id, utc_hour)
);
ALTER TABLE pair_periods ADD COLUMN has_half bool NOT NULL DEFAULT false;  -- an hour's second half is summed, too
