-- What a vision model said of pictures and scanned pages; sizes of chunks by store; care for indexes.

-- Tokens of a chunk, where a store or a file has a size of its own; NULL is Weir's.
ALTER TABLE vector_stores ADD COLUMN chunk_tokens integer CHECK (chunk_tokens BETWEEN 100 AND 4096);
ALTER TABLE vector_store_files
    ADD COLUMN chunk_tokens integer CHECK (chunk_tokens BETWEEN 100 AND 4096),
    -- Pages that show something of which nothing could be read.
    ADD COLUMN unread_pages integer[] NOT NULL DEFAULT '{}';
ALTER TABLE ingestion_parts ADD COLUMN unread_pages integer[] NOT NULL DEFAULT '{}';

-- A caption goes with its file. Whoever asks for one has the row until `asked_until`.
CREATE TABLE picture_captions (
    tenant_id    text NOT NULL,
    -- Of the picture's bytes, the model and what it is asked.
    digest       bytea NOT NULL,
    file_id      text NOT NULL,
    caption      text,
    asked_by     uuid,
    asked_until  timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, digest, file_id),
    FOREIGN KEY (tenant_id, file_id) REFERENCES files ON DELETE CASCADE
);
CREATE INDEX picture_captions_by_file ON picture_captions (tenant_id, file_id);
ALTER TABLE picture_captions ENABLE ROW LEVEL SECURITY;
ALTER TABLE picture_captions FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON picture_captions USING (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE, DELETE ON picture_captions TO weir_app;

-- What a REINDEX CONCURRENTLY that broke off leaves behind costs every insert and serves no search. Only the owner
-- may drop it. One that is still being built is locked, and stays.
CREATE FUNCTION drop_unfinished_indexes() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '1s' SET search_path FROM CURRENT
AS $$
DECLARE
    unfinished regclass;
    dropped integer := 0;
BEGIN
    FOR unfinished IN
        SELECT i.indexrelid FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_class t ON t.oid = i.indrelid
        WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace
          AND c.relname ~ '_cc(new|old)[0-9]*$' AND t.relname ~ '^chunk_embeddings_[0-9]+_[0-9]+$'
    LOOP
        BEGIN
            EXECUTE format('DROP INDEX %s', unfinished);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END LOOP;
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION drop_unfinished_indexes() FROM public;
GRANT EXECUTE ON FUNCTION drop_unfinished_indexes() TO weir_app;
