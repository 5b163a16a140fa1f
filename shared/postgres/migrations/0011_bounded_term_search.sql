-- Full-text search whose cost does not grow with the store: docs/knowledge.md says what it looks at.
-- `match_terms` stays for the release that still asks it while this one comes up.

-- `alternatives` are looked up each for itself and cut at `examined` chunks; the best `wanted` of these are
-- those that hold the most telling of the `asked` terms. Runs as the owner, as `@@` is not leakproof: the
-- policy of rows would keep it from the index. Without the two settings a wrong guess at how many chunks hold
-- a term has the whole store read in the order of its key.
CREATE FUNCTION find_terms(
    store text, within tsquery, alternatives tsquery[], asked tsquery[], idfs real[], eligible_files text[],
    examined integer, wanted integer
) RETURNS TABLE (vector_store_id text, file_id text, ordinal integer, version integer)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 200
    SET enable_indexscan = off
    SET enable_seqscan = off
    BEGIN ATOMIC
        SELECT m.vector_store_id, m.file_id, m.ordinal, m.version
        FROM (
            SELECT DISTINCT f.* FROM unnest(alternatives) AS a (held) CROSS JOIN LATERAL (
                SELECT c.vector_store_id, c.file_id, c.ordinal, c.version, (
                    -- Unpacked once, not for each term.
                    SELECT sum(t.idf) FROM (SELECT strip(c.terms) AS terms OFFSET 0) held,
                        unnest(asked, idfs) AS t (term, idf)
                    WHERE held.terms @@ t.term
                ) AS told
                FROM chunks c
                WHERE c.tenant_id = (SELECT current_tenant())
                  AND c.vector_store_id = store
                  AND c.terms @@ (a.held && within)
                  AND (eligible_files IS NULL
                       OR c.file_id IN (SELECT e.file FROM unnest(eligible_files) AS e (file)))
                  AND (c.file_id, c.version) NOT IN (
                      SELECT s.file_id, s.staged_version FROM vector_store_files s
                      WHERE s.tenant_id = current_tenant() AND s.vector_store_id = store
                        AND s.staged_version IS NOT NULL)
                LIMIT examined
            ) f
        ) m
        ORDER BY m.told DESC, m.file_id, m.ordinal
        LIMIT wanted;
    END;

REVOKE ALL ON FUNCTION find_terms(text, tsquery, tsquery[], tsquery[], real[], text[], integer, integer) FROM public;
GRANT EXECUTE ON FUNCTION find_terms(text, tsquery, tsquery[], tsquery[], real[], text[], integer, integer) TO weir_app;

-- A row of up to a page is kept whole and uncompressed: unpacking its terms took most of a search's time, and
-- compressing them saved a tenth of the table. Rows that are there stay as they are.
DO $$
DECLARE
    leaf regclass;
BEGIN
    FOR leaf IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'chunks'::regclass
    LOOP
        EXECUTE format('ALTER TABLE %s SET (toast_tuple_target = 8160)', leaf);
    END LOOP;
END
$$;
