-- Crawls with rules, budgets, a webhook and a schedule; pages that a browser renders; and what is known of pages
-- from earlier crawls. The release before leaves the new columns out, and gets their defaults.

CREATE TABLE scrape_schedules (
    tenant_id    text NOT NULL,
    schedule_id  text NOT NULL,
    cron         text NOT NULL,
    timezone     text NOT NULL,
    -- The scrape that it starts each time, as `shared.web.scrape_models.NewScrape`.
    template     jsonb NOT NULL,
    next_run_at  timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, schedule_id)
);
CREATE INDEX scrape_schedules_due ON scrape_schedules (tenant_id, next_run_at);

ALTER TABLE scrapes
    -- `shared.web.scrape_models.CrawlRules`.
    ADD COLUMN rules             jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN schedule_id       text,
    ADD COLUMN byte_limit        bigint CHECK (byte_limit > 0),
    ADD COLUMN bytes_read        bigint NOT NULL DEFAULT 0,
    ADD COLUMN webhook_secret    text,
    ADD COLUMN webhook_status    text CHECK (webhook_status IN ('waiting', 'due', 'delivered', 'failed')),
    ADD COLUMN webhook_attempts  integer NOT NULL DEFAULT 0;
CREATE INDEX scrapes_webhooks_due ON scrapes (tenant_id, updated_at) WHERE webhook_status = 'due';
CREATE INDEX scrapes_by_schedule ON scrapes (tenant_id, schedule_id, scrape_id) WHERE schedule_id IS NOT NULL;

ALTER TABLE scrape_pages
    -- A sitemap gives URLs and is no page: it does not count.
    ADD COLUMN kind       text NOT NULL DEFAULT 'page' CHECK (kind IN ('page', 'sitemap')),
    -- What is to be done next, and so who may claim it: scraping, or the browser.
    ADD COLUMN stage      text NOT NULL DEFAULT 'fetch' CHECK (stage IN ('fetch', 'render', 'rendered')),
    -- Host (and port) that the crawl stays in; NULL: that of the page itself.
    ADD COLUMN site       text,
    ADD COLUMN rendering  text NOT NULL DEFAULT 'none' CHECK (rendering IN ('none', 'needed', 'done')),
    -- What the browser made of it, compressed, until scraping has read it.
    ADD COLUMN rendered   bytea,
    ADD COLUMN change     text CHECK (change IN ('new', 'changed', 'unchanged', 'gone')),
    -- `shared.web.simhash`, signed; and the page of this scrape whose text is nearly the same.
    ADD COLUMN simhash    bigint,
    ADD COLUMN similar_to text,
    ADD COLUMN bytes      bigint NOT NULL DEFAULT 0,
    -- What the scrape's selectors found, a list of objects.
    ADD COLUMN records    jsonb;

-- What a page was like when it was last kept: for conditional requests, and to tell that nothing has changed. It
-- goes with its file.
CREATE TABLE known_pages (
    tenant_id      text NOT NULL,
    url            text NOT NULL,
    file_id        text NOT NULL,
    -- Where it was in the end; the validators are of this URL.
    final_url      text NOT NULL,
    etag           text,
    last_modified  text,
    content_sha256 text NOT NULL,
    title          text,
    links          text[] NOT NULL DEFAULT '{}',
    checked_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, url),
    FOREIGN KEY (tenant_id, file_id) REFERENCES files ON DELETE CASCADE
);
CREATE INDEX known_pages_by_file ON known_pages (tenant_id, file_id);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['scrape_schedules', 'known_pages']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON %I USING (tenant_id = current_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO weir_app', name);
    END LOOP;
END
$$;
