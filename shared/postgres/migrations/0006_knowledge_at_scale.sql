-- Chunks and vectors in hash partitions by store, so that a search touches its own; versions of a file side by
-- side, so that a new one is written while the old is found; embedding spaces, so that a store changes its model.
-- docs/decisions/0010-partitions-versions-spaces.md says what was weighed, and what the copy below costs.

-- Searches go on while rows are copied; whoever writes chunks waits.
LOCK TABLE chunk_embeddings_256, chunk_embeddings_384, chunk_embeddings_512, chunk_embeddings_768,
           chunk_embeddings_1024, chunk_embeddings_1536, chunk_embeddings_2048, chunk_embeddings_3072,
           chunks IN SHARE MODE;

CREATE TABLE chunks_partitioned (
    tenant_id        text NOT NULL,
    vector_store_id  text NOT NULL,
    file_id          text NOT NULL,
    -- Of the file: search sees what is not of its `staged_version`.
    version          integer NOT NULL DEFAULT 0,
    -- Rises through the file: 65,536 times the number of its part, and the place in the part.
    ordinal          integer NOT NULL,
    text             text NOT NULL,
    headings         text[] NOT NULL DEFAULT '{}',
    -- What is embedded and searched before the text.
    lead             text NOT NULL DEFAULT '',
    page_first       integer,
    page_last        integer,
    row_first        integer,
    row_last         integer,
    -- Range of characters in the clean text of the part.
    char_start       integer NOT NULL,
    char_end         integer NOT NULL,
    -- The application's own terms, and the store's id, so that the index finds a term within a store.
    terms            tsvector NOT NULL,
    term_count       integer NOT NULL
) PARTITION BY HASH (vector_store_id);

DO $$
DECLARE
    partitions CONSTANT integer := 16;
    dimensions integer;
    name text;
BEGIN
    FOR number IN 0 .. partitions - 1 LOOP
        EXECUTE format('CREATE TABLE chunks_%s PARTITION OF chunks_partitioned FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
                       number, partitions, number);
    END LOOP;
    -- The title that old chunks were embedded with is not kept anywhere; their headings are.
    INSERT INTO chunks_partitioned (tenant_id, vector_store_id, file_id, ordinal, text, headings, lead, page_first,
                                    page_last, row_first, row_last, char_start, char_end, terms, term_count)
    SELECT tenant_id, vector_store_id, file_id, ordinal, text, headings, array_to_string(headings, ' > '),
           page_first, page_last, row_first, row_last, char_start, char_end, terms, term_count
    FROM chunks;
    ALTER TABLE chunks_partitioned
        ADD CONSTRAINT chunks_key PRIMARY KEY (tenant_id, vector_store_id, file_id, version, ordinal),
        ADD CONSTRAINT chunks_of_file FOREIGN KEY (tenant_id, vector_store_id, file_id)
            REFERENCES vector_store_files ON DELETE CASCADE;
    -- Without fastupdate no search has to read a list of pending entries.
    CREATE INDEX chunks_by_term ON chunks_partitioned USING gin (terms) WITH (fastupdate = off);

    FOREACH dimensions IN ARRAY ARRAY[256, 384, 512, 768, 1024, 1536, 2048, 3072]
    LOOP
        name := format('chunk_embeddings_%s', dimensions);
        EXECUTE format(
            'CREATE TABLE %1$s_partitioned (
                tenant_id        text NOT NULL,
                vector_store_id  text NOT NULL,
                file_id          text NOT NULL,
                version          integer NOT NULL DEFAULT 0,
                ordinal          integer NOT NULL,
                -- Which of the store''s embedding models made it: search sees those of the store''s `space`.
                space            integer NOT NULL DEFAULT 0,
                -- Of model and embedded text, so that nothing is embedded twice; unknown of old rows.
                content_hash     bytea,
                embedding        halfvec(%2$s) STORAGE PLAIN NOT NULL
            ) PARTITION BY HASH (vector_store_id)', name, dimensions);
        FOR number IN 0 .. partitions - 1 LOOP
            EXECUTE format('CREATE TABLE %1$s_%2$s PARTITION OF %1$s_partitioned FOR VALUES WITH (MODULUS %3$s, REMAINDER %2$s)',
                           name, number, partitions);
        END LOOP;
        EXECUTE format('INSERT INTO %1$s_partitioned (tenant_id, vector_store_id, file_id, ordinal, embedding)
                        SELECT tenant_id, vector_store_id, file_id, ordinal, embedding FROM %1$s', name);
        EXECUTE format(
            'ALTER TABLE %1$s_partitioned
                 ADD CONSTRAINT %1$s_key PRIMARY KEY (tenant_id, vector_store_id, file_id, version, ordinal, space),
                 ADD CONSTRAINT %1$s_of_chunk FOREIGN KEY (tenant_id, vector_store_id, file_id, version, ordinal)
                     REFERENCES chunks_partitioned ON DELETE CASCADE;
             CREATE INDEX %1$s_by_content ON %1$s_partitioned (tenant_id, content_hash);
             CREATE INDEX %1$s_nearest ON %1$s_partitioned USING hnsw (embedding halfvec_cosine_ops)', name);
    END LOOP;
END
$$;

-- Asked without the partitions by releases up to 0005 too, hence under its old name and form as well.
CREATE OR REPLACE FUNCTION match_chunks(
    stores text[], ranked tsquery, within tsquery, eligible_stores text[], eligible_files text[], wanted integer
) RETURNS TABLE (vector_store_id text, file_id text, ordinal integer)
    LANGUAGE sql STABLE SECURITY DEFINER
    BEGIN ATOMIC
        SELECT c.vector_store_id, c.file_id, c.ordinal
        FROM chunks_partitioned c
        WHERE c.tenant_id = current_tenant()
          AND c.vector_store_id = ANY (stores)
          AND c.terms @@ (ranked && within)
          AND (eligible_files IS NULL OR (c.vector_store_id, c.file_id) IN (
              SELECT e.store, e.file FROM unnest(eligible_stores, eligible_files) AS e (store, file)))
        ORDER BY ts_rank(c.terms, ranked, 1) DESC, c.vector_store_id, c.file_id, c.ordinal
        LIMIT wanted;
    END;

DO $$
DECLARE
    name text;
    leaf text;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_class c
        WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
          AND c.relname ~ '^chunk_embeddings_[0-9]+$' AND NOT c.relispartition
        UNION ALL SELECT 'chunks'
    LOOP
        EXECUTE format('DROP TABLE %I', name);
        EXECUTE format('ALTER TABLE %I RENAME TO %I', name || '_partitioned', name);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        -- FORCE binds the owner too; full-text search runs as the owner of chunks, which goes without.
        IF name <> 'chunks' THEN
            EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        END IF;
        EXECUTE format('CREATE POLICY own_rows ON %I USING (tenant_id = current_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO weir_app', name);
        FOR leaf IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = name::regclass
        LOOP
            -- Nobody but the table above asks a partition: no grant, and no row for who might have one.
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', leaf);
            -- Dead rows cost a search more here than elsewhere: they stay in the graph until vacuum takes them.
            EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)', leaf);
            -- From PostgreSQL 17 on, cleanup may vacuum without owning the table.
            IF current_setting('server_version_num')::integer >= 170000 THEN
                EXECUTE format('GRANT MAINTAIN ON %s TO weir_app', leaf);
            END IF;
        END LOOP;
    END LOOP;
END
$$;

-- A new version of a file is staged under its number and takes the place of the live one all at once.
ALTER TABLE vector_store_files
    ADD COLUMN versions_begun integer NOT NULL DEFAULT 0,
    ADD COLUMN live_version integer NOT NULL DEFAULT 0,
    ADD COLUMN staged_version integer;
CREATE INDEX vector_store_files_staged ON vector_store_files (tenant_id, vector_store_id)
    WHERE staged_version IS NOT NULL;
CREATE INDEX vector_store_files_attributes ON vector_store_files USING gin (attributes jsonb_path_ops);

-- The embedding model that a store is changing to, and how that goes.
ALTER TABLE vector_stores
    ADD COLUMN space integer NOT NULL DEFAULT 0,
    ADD COLUMN next_embedding_model text,
    ADD COLUMN next_dimensions integer,
    ADD COLUMN next_space integer,
    ADD COLUMN reembed_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN reembed_lease_until timestamptz,
    ADD COLUMN reembed_error text,
    ADD COLUMN reembed_updated_at timestamptz,
    -- Rises with every change of what a search finds: a replica with a smaller number is behind.
    ADD COLUMN revision bigint NOT NULL DEFAULT 0;
CREATE INDEX vector_stores_reembedding ON vector_stores (tenant_id, reembed_updated_at)
    WHERE next_embedding_model IS NOT NULL;

-- A file that is ingested in parts: how it is cut, and which object the cut is of.
CREATE TABLE ingestion_plans (
    tenant_id        text NOT NULL,
    vector_store_id  text NOT NULL,
    file_id          text NOT NULL,
    version          integer NOT NULL,
    plan             text NOT NULL,
    object_etag      text NOT NULL,
    content_sha256   text NOT NULL,
    -- When the messages of its parts were sent; before that nobody may know of them.
    sent_at          timestamptz,
    PRIMARY KEY (tenant_id, vector_store_id, file_id, version),
    FOREIGN KEY (tenant_id, vector_store_id, file_id) REFERENCES vector_store_files ON DELETE CASCADE
);

CREATE TABLE ingestion_parts (
    tenant_id        text NOT NULL,
    vector_store_id  text NOT NULL,
    file_id          text NOT NULL,
    version          integer NOT NULL,
    part             integer NOT NULL CHECK (part BETWEEN 0 AND 32767),
    status           text NOT NULL CHECK (status IN ('queued', 'completed')),
    attempts         integer NOT NULL DEFAULT 0,
    lease_id         uuid,
    lease_until      timestamptz,
    error_message    text,
    chunk_count      integer NOT NULL DEFAULT 0,
    usage_bytes      bigint NOT NULL DEFAULT 0,
    -- Characters of its text, and of all before it: known of all when the file is complete.
    characters       integer NOT NULL DEFAULT 0,
    char_offset      bigint NOT NULL DEFAULT 0,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, vector_store_id, file_id, version, part),
    FOREIGN KEY (tenant_id, vector_store_id, file_id, version) REFERENCES ingestion_plans ON DELETE CASCADE
);
CREATE INDEX ingestion_parts_queued ON ingestion_parts (tenant_id, updated_at) WHERE status = 'queued';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ingestion_plans', 'ingestion_parts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON %I USING (tenant_id = current_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO weir_app', name);
    END LOOP;
END
$$;

-- Full-text candidates in one store of the current tenant, best first by `ts_rank`, without what is only staged. As
-- the owner, and naming the tenant itself, for the same reason as `match_chunks`. One store, so that one partition.
CREATE FUNCTION match_terms(
    store text, ranked tsquery, within tsquery, eligible_files text[], wanted integer
) RETURNS TABLE (vector_store_id text, file_id text, ordinal integer, version integer)
    LANGUAGE sql STABLE SECURITY DEFINER
    BEGIN ATOMIC
        SELECT c.vector_store_id, c.file_id, c.ordinal, c.version
        FROM chunks c
        WHERE c.tenant_id = current_tenant()
          AND c.vector_store_id = store
          AND c.terms @@ (ranked && within)
          AND (eligible_files IS NULL OR c.file_id IN (SELECT e.file FROM unnest(eligible_files) AS e (file)))
          AND (c.file_id, c.version) NOT IN (
              SELECT f.file_id, f.staged_version FROM vector_store_files f
              WHERE f.tenant_id = current_tenant() AND f.vector_store_id = store AND f.staged_version IS NOT NULL)
        ORDER BY ts_rank(c.terms, ranked, 1) DESC, c.file_id, c.ordinal
        LIMIT wanted;
    END;

-- The files of the current tenant's stores whose attributes hold these: `@>` is not leakproof either.
ALTER TABLE vector_store_files NO FORCE ROW LEVEL SECURITY;
CREATE FUNCTION match_attributes(stores text[], held jsonb) RETURNS TABLE (vector_store_id text, file_id text)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 50
    BEGIN ATOMIC
        SELECT f.vector_store_id, f.file_id FROM vector_store_files f
        WHERE f.tenant_id = current_tenant() AND f.vector_store_id = ANY (stores) AND f.attributes @> held;
    END;

REVOKE ALL ON FUNCTION
    match_terms(text, tsquery, tsquery, text[], integer), match_attributes(text[], jsonb) FROM public;
GRANT EXECUTE ON FUNCTION
    match_terms(text, tsquery, tsquery, text[], integer), match_attributes(text[], jsonb) TO weir_app;
