-- The application connects as a member of weir_app: no superuser, no owner, so row-level security binds it.
CREATE EXTENSION IF NOT EXISTS vector;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'weir_app') THEN
        CREATE ROLE weir_app NOLOGIN;
    END IF;
END
$$;

CREATE FUNCTION current_tenant() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('weir.tenant_id', true), '');

-- Tenants and keys ----------------------------------------------------------------------------------------

CREATE TABLE tenants (
    tenant_id   text PRIMARY KEY,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    tenant_id            text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    key_id               text NOT NULL,
    key_hash             bytea NOT NULL UNIQUE,
    hint                 text NOT NULL,
    name                 text NOT NULL,
    role                 text NOT NULL CHECK (role IN ('admin', 'member')),
    models               text[],
    requests_per_minute  integer CHECK (requests_per_minute > 0),
    tokens_per_minute    integer CHECK (tokens_per_minute > 0),
    created_at           timestamptz NOT NULL DEFAULT now(),
    expires_at           timestamptz,
    revoked_at           timestamptz,
    PRIMARY KEY (tenant_id, key_id)
);

-- Files ---------------------------------------------------------------------------------------------------

CREATE TABLE files (
    tenant_id   text NOT NULL,
    file_id     text NOT NULL,
    filename    text NOT NULL,
    purpose     text NOT NULL,
    media_type  text,
    bytes       bigint NOT NULL DEFAULT 0,
    object_key  text NOT NULL,
    status      text NOT NULL CHECK (status IN ('pending', 'uploaded')),
    source_url  text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz,
    PRIMARY KEY (tenant_id, file_id)
);
CREATE INDEX files_expiry ON files (tenant_id, expires_at) WHERE expires_at IS NOT NULL;
-- A page that is scraped again, into whichever store, stays one file. Ids sort by age, so lists need no other index.
CREATE UNIQUE INDEX files_source ON files (tenant_id, source_url) WHERE source_url IS NOT NULL;

-- Knowledge -----------------------------------------------------------------------------------------------

CREATE TABLE vector_stores (
    tenant_id           text NOT NULL,
    vector_store_id     text NOT NULL,
    name                text NOT NULL DEFAULT '',
    description         text,
    embedding_model     text NOT NULL,
    dimensions          integer NOT NULL,
    metadata            jsonb NOT NULL DEFAULT '{}',
    expires_after_days  integer CHECK (expires_after_days BETWEEN 1 AND 365),
    -- Corpus statistics of BM25; changed in the transaction that changes the chunks.
    chunk_count         bigint NOT NULL DEFAULT 0,
    term_total          bigint NOT NULL DEFAULT 0,
    created_at          timestamptz NOT NULL DEFAULT now(),
    last_active_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, vector_store_id)
);

-- A file in a store is also the ingestion job: its status, tries, lease and reason of failure.
CREATE TABLE vector_store_files (
    tenant_id        text NOT NULL,
    vector_store_id  text NOT NULL,
    file_id          text NOT NULL,
    status           text NOT NULL CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled')),
    attributes       jsonb NOT NULL DEFAULT '{}',
    attempts         integer NOT NULL DEFAULT 0,
    -- Who works on it, until when: a worker whose lease was given to another may not write its result.
    lease_id         uuid,
    lease_until      timestamptz,
    error_code       text CHECK (error_code IN ('server_error', 'unsupported_file', 'invalid_file')),
    error_message    text,
    content_sha256   text,
    chunk_count      integer NOT NULL DEFAULT 0,
    usage_bytes      bigint NOT NULL DEFAULT 0,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, vector_store_id, file_id),
    FOREIGN KEY (tenant_id, vector_store_id) REFERENCES vector_stores ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, file_id) REFERENCES files ON DELETE CASCADE
);
CREATE INDEX vector_store_files_by_file ON vector_store_files (tenant_id, file_id);
CREATE INDEX vector_store_files_unfinished ON vector_store_files (tenant_id, updated_at) WHERE status = 'in_progress';

-- Which files were attached together, for `vector_stores.file_batches`.
CREATE TABLE vector_store_batch_files (
    tenant_id        text NOT NULL,
    vector_store_id  text NOT NULL,
    batch_id         text NOT NULL,
    file_id          text NOT NULL,
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, vector_store_id, batch_id, file_id),
    FOREIGN KEY (tenant_id, vector_store_id, file_id) REFERENCES vector_store_files ON DELETE CASCADE
);
CREATE INDEX vector_store_batch_files_by_file ON vector_store_batch_files (tenant_id, vector_store_id, file_id);

CREATE TABLE chunks (
    tenant_id        text NOT NULL,
    vector_store_id  text NOT NULL,
    file_id          text NOT NULL,
    ordinal          integer NOT NULL,
    text             text NOT NULL,
    headings         text[] NOT NULL DEFAULT '{}',
    page_first       integer,
    page_last        integer,
    row_first        integer,
    row_last         integer,
    -- Range of characters in the clean text of the file.
    char_start       integer NOT NULL,
    char_end         integer NOT NULL,
    -- The application's own terms, and the store's id, so that the index finds a term within a store.
    terms            tsvector NOT NULL,
    term_count       integer NOT NULL,
    PRIMARY KEY (tenant_id, vector_store_id, file_id, ordinal),
    FOREIGN KEY (tenant_id, vector_store_id, file_id) REFERENCES vector_store_files ON DELETE CASCADE
);
-- Without fastupdate no search has to read a list of pending entries.
CREATE INDEX chunks_terms ON chunks USING gin (terms) WITH (fastupdate = off);

-- In how many chunks of a store a term stands: BM25's document frequency.
CREATE TABLE term_frequencies (
    tenant_id        text NOT NULL,
    vector_store_id  text NOT NULL,
    term             text NOT NULL,
    chunk_count      integer NOT NULL,
    PRIMARY KEY (tenant_id, vector_store_id, term),
    FOREIGN KEY (tenant_id, vector_store_id) REFERENCES vector_stores ON DELETE CASCADE
);

-- One table per vector size, so that each has a typed column and an index. halfvec: half the bytes, up to
-- 4,000 dimensions in HNSW (pgvector 0.7). Stored plain, so that an exact scan reads no TOAST table.
DO $$
DECLARE
    dimensions integer;
BEGIN
    FOREACH dimensions IN ARRAY ARRAY[256, 384, 512, 768, 1024, 1536, 2048, 3072]
    LOOP
        EXECUTE format(
            'CREATE TABLE chunk_embeddings_%1$s (
                tenant_id        text NOT NULL,
                vector_store_id  text NOT NULL,
                file_id          text NOT NULL,
                ordinal          integer NOT NULL,
                embedding        halfvec(%1$s) STORAGE PLAIN NOT NULL,
                PRIMARY KEY (tenant_id, vector_store_id, file_id, ordinal),
                FOREIGN KEY (tenant_id, vector_store_id, file_id, ordinal) REFERENCES chunks ON DELETE CASCADE
            );
            CREATE INDEX chunk_embeddings_%1$s_cosine ON chunk_embeddings_%1$s
                USING hnsw (embedding halfvec_cosine_ops);',
            dimensions);
    END LOOP;
END
$$;

-- Scraping ------------------------------------------------------------------------------------------------

CREATE TABLE scrapes (
    tenant_id        text NOT NULL,
    scrape_id        text NOT NULL,
    vector_store_id  text,
    start_url        text NOT NULL,
    depth_limit      integer NOT NULL CHECK (depth_limit >= 0),
    page_limit       integer NOT NULL CHECK (page_limit > 0),
    -- Rows of scrape_pages; changed with them, under a lock of this row, and never over page_limit.
    page_count       integer NOT NULL DEFAULT 0 CHECK (page_count <= page_limit),
    status           text NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    error_message    text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, scrape_id)
);
CREATE INDEX scrapes_unfinished ON scrapes (tenant_id, updated_at) WHERE status IN ('queued', 'running');

CREATE TABLE scrape_pages (
    tenant_id      text NOT NULL,
    scrape_id      text NOT NULL,
    url            text NOT NULL,
    depth          integer NOT NULL,
    -- The page that links to it: whoever takes that page up again sends those whose message may be lost.
    found_on       text,
    status         text NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'skipped', 'failed')),
    attempts       integer NOT NULL DEFAULT 0,
    lease_until    timestamptz,
    title          text,
    file_id        text,
    error_message  text,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, scrape_id, url),
    FOREIGN KEY (tenant_id, scrape_id) REFERENCES scrapes ON DELETE CASCADE
);
CREATE INDEX scrape_pages_unfinished ON scrape_pages (tenant_id, scrape_id, found_on)
    WHERE status IN ('queued', 'running');

-- Ledger: one row per request, whatever is retried or delivered twice -------------------------------------

CREATE TABLE usage_records (
    tenant_id           text NOT NULL,
    request_id          text NOT NULL,
    key_id              text NOT NULL,
    endpoint            text NOT NULL,
    model               text NOT NULL,
    provider            text NOT NULL,
    prompt_tokens       bigint NOT NULL,
    cached_tokens       bigint NOT NULL,
    completion_tokens   bigint NOT NULL,
    reasoning_tokens    bigint NOT NULL,
    cost_microdollars   bigint NOT NULL,
    cache_outcome       text NOT NULL,
    outcome             text NOT NULL CHECK (outcome IN ('completed', 'failed', 'cancelled')),
    estimated           boolean NOT NULL,
    duration_ms         integer NOT NULL,
    first_token_ms      integer,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, request_id)
);
CREATE INDEX usage_records_by_day ON usage_records (tenant_id, created_at);

-- Row-level security --------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
        WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        -- FORCE binds the owner too; the functions below run as the owner, so their tables go without.
        IF name NOT IN ('tenants', 'api_keys', 'chunks') THEN
            EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        END IF;
        EXECUTE format('CREATE POLICY own_rows ON %I USING (tenant_id = current_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO weir_app', name);
    END LOOP;
END
$$;

-- Two questions are asked before a tenant is known. These functions answer them and nothing else. Their bodies
-- are parsed here, so the caller's search_path cannot redirect them.
CREATE FUNCTION find_api_key(wanted bytea) RETURNS SETOF api_keys
    LANGUAGE sql STABLE SECURITY DEFINER
    BEGIN ATOMIC
        SELECT * FROM api_keys WHERE key_hash = wanted;
    END;

CREATE FUNCTION list_tenants() RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER
    BEGIN ATOMIC
        SELECT tenant_id FROM tenants ORDER BY tenant_id;
    END;

-- Full-text candidates of the current tenant, best first by `ts_rank`. Under row-level security PostgreSQL may not
-- use an index for `@@`, which is not leakproof; so this runs as the owner and names the tenant itself.
-- `ranked` is an OR of terms; `within` is one of the ids of `stores`. With `eligible_files`, only chunks of these
-- files, each in the store at the same place of `eligible_stores`.
CREATE FUNCTION match_chunks(
    stores text[], ranked tsquery, within tsquery, eligible_stores text[], eligible_files text[], wanted integer
) RETURNS TABLE (vector_store_id text, file_id text, ordinal integer)
    LANGUAGE sql STABLE SECURITY DEFINER
    BEGIN ATOMIC
        SELECT c.vector_store_id, c.file_id, c.ordinal
        FROM chunks c
        WHERE c.tenant_id = current_tenant()
          AND c.vector_store_id = ANY (stores)
          AND c.terms @@ (ranked && within)
          AND (eligible_files IS NULL OR (c.vector_store_id, c.file_id) IN (
              SELECT e.store, e.file FROM unnest(eligible_stores, eligible_files) AS e (store, file)))
        ORDER BY ts_rank(c.terms, ranked, 1) DESC, c.vector_store_id, c.file_id, c.ordinal
        LIMIT wanted;
    END;

REVOKE ALL ON FUNCTION
    find_api_key(bytea), list_tenants(), match_chunks(text[], tsquery, tsquery, text[], text[], integer)
    FROM public;
GRANT EXECUTE ON FUNCTION
    find_api_key(bytea), list_tenants(), match_chunks(text[], tsquery, tsquery, text[], text[], integer)
    TO weir_app;
