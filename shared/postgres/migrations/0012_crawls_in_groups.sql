-- Near-duplicates are found by index: two hashes that differ in up to 3 of their 64 bits agree in one of four
-- quarters. Plain columns, because under row-level security an index serves leak-proof operators alone, and
-- taking a number apart is none. Pages that ended before stay without: they are similar to nothing new.
ALTER TABLE scrape_pages
    ADD COLUMN simhash_0 integer, ADD COLUMN simhash_1 integer,
    ADD COLUMN simhash_2 integer, ADD COLUMN simhash_3 integer;
CREATE INDEX scrape_pages_simhash_0 ON scrape_pages (tenant_id, scrape_id, simhash_0) WHERE simhash_0 IS NOT NULL;
CREATE INDEX scrape_pages_simhash_1 ON scrape_pages (tenant_id, scrape_id, simhash_1) WHERE simhash_1 IS NOT NULL;
CREATE INDEX scrape_pages_simhash_2 ON scrape_pages (tenant_id, scrape_id, simhash_2) WHERE simhash_2 IS NOT NULL;
CREATE INDEX scrape_pages_simhash_3 ON scrape_pages (tenant_id, scrape_id, simhash_3) WHERE simhash_3 IS NOT NULL;

-- The records that a model was paid for, and a digest of what it was asked: the same is not asked again.
ALTER TABLE known_pages ADD COLUMN records jsonb, ADD COLUMN records_sha256 text;
