-- The upstream calls that a request took, and what the cache spared. The release before leaves both columns out,
-- and gets the defaults; constant ones, so that no row is written anew.
ALTER TABLE usage_records
    ADD COLUMN legs                jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN saved_microdollars  bigint NOT NULL DEFAULT 0;
