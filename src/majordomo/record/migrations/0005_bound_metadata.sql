-- What callers said under the names for which their gateway key has a value of its own: that value stands in raw_metadata.
ALTER TABLE llm_requests ADD COLUMN overridden_metadata jsonb NOT NULL DEFAULT '{}';
