-- The semantic cache: answers found by meaning, and what is known of how far each may be trusted.

CREATE TABLE semantic_entries (
    tenant_id      text NOT NULL,
    -- Digest of the scope and of the wording, so that the same question has one row.
    entry_id       text NOT NULL,
    -- Digest of all that has to be equal: model, settings, tools, system prompt, embedding model, number of turns.
    scope          text NOT NULL,
    -- [[role, text], ...], the question last.
    turns          jsonb NOT NULL,
    completion     bytea NOT NULL,
    provider       text NOT NULL,
    model          text NOT NULL,
    stored_at      timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    -- Judged uses of this answer for other questions, newest last: how alike the two were, and whether it was right.
    judged_scores  real[] NOT NULL DEFAULT '{}',
    judged_right   boolean[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, entry_id)
);
CREATE INDEX semantic_entries_scope ON semantic_entries (tenant_id, scope);
CREATE INDEX semantic_entries_expiry ON semantic_entries (tenant_id, expires_at);

-- All judged uses of a tenant taken together, by how alike the questions were: what a new entry starts from.
CREATE TABLE semantic_tallies (
    tenant_id  text NOT NULL,
    tally_id   text NOT NULL,
    right_uses integer[] NOT NULL,
    wrong_uses integer[] NOT NULL,
    PRIMARY KEY (tenant_id, tally_id)
);

-- One table per vector size, as for chunks.
DO $$
DECLARE
    dimensions integer;
BEGIN
    FOREACH dimensions IN ARRAY ARRAY[256, 384, 512, 768, 1024, 1536, 2048, 3072]
    LOOP
        EXECUTE format(
            'CREATE TABLE semantic_embeddings_%1$s (
                tenant_id  text NOT NULL,
                entry_id   text NOT NULL,
                scope      text NOT NULL,
                embedding  halfvec(%1$s) STORAGE PLAIN NOT NULL,
                PRIMARY KEY (tenant_id, entry_id),
                FOREIGN KEY (tenant_id, entry_id) REFERENCES semantic_entries ON DELETE CASCADE
            );
            CREATE INDEX semantic_embeddings_%1$s_scope ON semantic_embeddings_%1$s (tenant_id, scope);
            CREATE INDEX semantic_embeddings_%1$s_cosine ON semantic_embeddings_%1$s
                USING hnsw (embedding halfvec_cosine_ops);',
            dimensions);
    END LOOP;
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_class c
        WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND c.relname LIKE 'semantic\_%'
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON %I USING (tenant_id = current_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO weir_app', name);
    END LOOP;
END
$$;
