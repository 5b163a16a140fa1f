-- Batches of model calls: the job, the chunks of its lines that messages stand for, and the lines with their results.

CREATE TABLE batches (
    tenant_id             text NOT NULL,
    batch_id              text NOT NULL,
    -- At whose cost and with whose rights it runs.
    key_id                text NOT NULL,
    endpoint              text NOT NULL CHECK (endpoint IN ('/v1/chat/completions', '/v1/embeddings')),
    input_file_id         text NOT NULL,
    metadata              jsonb,
    output_expires_after  integer CHECK (output_expires_after > 0),
    status                text NOT NULL DEFAULT 'validating' CHECK (status IN (
        'validating', 'failed', 'in_progress', 'finalizing', 'completed', 'expired', 'cancelling', 'cancelled')),
    -- Why it failed or was ended, or the first lines that make no sense: a list of {code, message, param, line}.
    errors                jsonb NOT NULL DEFAULT '[]',
    -- The version of the input that the chunks' ranges are of.
    input_etag            text,
    line_count            integer NOT NULL DEFAULT 0,
    invalid_count         integer NOT NULL DEFAULT 0,
    -- Counts of chunks are live; these are theirs once the batch has ended.
    completed_count       integer NOT NULL DEFAULT 0,
    failed_count          integer NOT NULL DEFAULT 0,
    output_file_id        text,
    error_file_id         text,
    -- Nothing is asked before this moment, and how often in a row that was put off.
    paused_until          timestamptz,
    pauses                integer NOT NULL DEFAULT 0,
    -- Its results are being written to the files: no more of them are taken.
    closed                boolean NOT NULL DEFAULT false,
    -- Who splits or finishes it, until when.
    lease_id              uuid,
    lease_until           timestamptz,
    created_at            timestamptz NOT NULL,
    expires_at            timestamptz NOT NULL,
    in_progress_at        timestamptz,
    finalizing_at         timestamptz,
    completed_at          timestamptz,
    failed_at             timestamptz,
    expired_at            timestamptz,
    cancelling_at         timestamptz,
    cancelled_at          timestamptz,
    PRIMARY KEY (tenant_id, batch_id)
);
CREATE INDEX batches_unfinished ON batches (tenant_id, batch_id)
    WHERE status IN ('validating', 'in_progress', 'finalizing', 'cancelling');

-- Consecutive lines of the input: bytes [byte_start, byte_end), of which the first is line `first_line`.
CREATE TABLE batch_chunks (
    tenant_id     text NOT NULL,
    batch_id      text NOT NULL,
    chunk_number  integer NOT NULL,
    first_line    integer NOT NULL,
    byte_start    bigint NOT NULL,
    byte_end      bigint NOT NULL,
    -- When its message was last sent; only so many chunks of a batch are under way at a time.
    sent_at       timestamptz,
    lease_id      uuid,
    lease_until   timestamptz,
    done          boolean NOT NULL DEFAULT false,
    completed     integer NOT NULL DEFAULT 0,
    failed        integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, batch_id, chunk_number),
    FOREIGN KEY (tenant_id, batch_id) REFERENCES batches ON DELETE CASCADE
);
CREATE INDEX batch_chunks_open ON batch_chunks (tenant_id, batch_id, chunk_number) WHERE NOT done;

-- A line that is not blank, numbered from 1 as in the file. They go when the files with the results are written.
CREATE TABLE batch_lines (
    tenant_id    text NOT NULL,
    batch_id     text NOT NULL,
    line_number  integer NOT NULL,
    custom_id    text,
    status       text NOT NULL CHECK (status IN ('waiting', 'completed', 'failed')),
    -- Tries that failed upstream: 2 each, and 1 where nothing was answered at the time.
    tries        integer NOT NULL DEFAULT 0,
    -- The line of the output or error file.
    result       text,
    PRIMARY KEY (tenant_id, batch_id, line_number),
    FOREIGN KEY (tenant_id, batch_id) REFERENCES batches ON DELETE CASCADE
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['batches', 'batch_chunks', 'batch_lines']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON %I USING (tenant_id = current_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO weir_app', name);
    END LOOP;
END
$$;
