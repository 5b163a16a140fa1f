-- The search for orphaned objects looks at a bounded number of a tenant's keys per run, and goes on here: after
-- the last key it saw, or from the first when empty.
ALTER TABLE tenants ADD COLUMN orphan_scan_after text NOT NULL DEFAULT '';
