-- Limits of requests at a time and of money (micro-dollars per UTC day and month), for keys and for whole tenants;
-- a key's way with the cache; and the secret that a key had before, while both are accepted.
ALTER TABLE api_keys
    ADD COLUMN concurrent_requests            integer CHECK (concurrent_requests > 0),
    ADD COLUMN budget_per_day_microdollars    bigint CHECK (budget_per_day_microdollars >= 0),
    ADD COLUMN budget_per_month_microdollars  bigint CHECK (budget_per_month_microdollars >= 0),
    ADD COLUMN cache_mode                     text CHECK (cache_mode IN ('off', 'exact', 'semantic')),
    ADD COLUMN cache_ttl_seconds              integer CHECK (cache_ttl_seconds > 0),
    ADD COLUMN previous_key_hash              bytea UNIQUE,
    ADD COLUMN previous_key_until             timestamptz;

ALTER TABLE tenants
    ADD COLUMN requests_per_minute            integer CHECK (requests_per_minute > 0),
    ADD COLUMN tokens_per_minute              integer CHECK (tokens_per_minute > 0),
    ADD COLUMN concurrent_requests            integer CHECK (concurrent_requests > 0),
    ADD COLUMN budget_per_day_microdollars    bigint CHECK (budget_per_day_microdollars >= 0),
    ADD COLUMN budget_per_month_microdollars  bigint CHECK (budget_per_month_microdollars >= 0);

-- The release before asks this function. It answered with the rows of `api_keys`, which have grown; now it names
-- the columns that it always had, so that plans which that release has prepared stay valid.
DROP FUNCTION find_api_key(bytea);
CREATE FUNCTION find_api_key(wanted bytea) RETURNS TABLE (
    tenant_id text, key_id text, key_hash bytea, hint text, name text, role text, models text[],
    requests_per_minute integer, tokens_per_minute integer,
    created_at timestamptz, expires_at timestamptz, revoked_at timestamptz
)
    LANGUAGE sql STABLE SECURITY DEFINER
    BEGIN ATOMIC
        SELECT k.tenant_id, k.key_id, k.key_hash, k.hint, k.name, k.role, k.models,
               k.requests_per_minute, k.tokens_per_minute, k.created_at, k.expires_at, k.revoked_at
        FROM api_keys k
        WHERE k.key_hash = wanted;
    END;

-- Whom a key stands for, with all that every request needs to know. A secret that was replaced counts until it
-- ends; a revoked key is nobody.
CREATE FUNCTION find_caller(wanted bytea) RETURNS TABLE (
    tenant_id text, key_id text, role text, models text[],
    requests_per_minute integer, tokens_per_minute integer, concurrent_requests integer,
    budget_per_day_microdollars bigint, budget_per_month_microdollars bigint,
    tenant_requests_per_minute integer, tenant_tokens_per_minute integer, tenant_concurrent_requests integer,
    tenant_budget_per_day_microdollars bigint, tenant_budget_per_month_microdollars bigint,
    cache_mode text, cache_ttl_seconds integer, expires_at timestamptz
)
    LANGUAGE sql STABLE SECURITY DEFINER
    BEGIN ATOMIC
        SELECT k.tenant_id, k.key_id, k.role, k.models,
               k.requests_per_minute, k.tokens_per_minute, k.concurrent_requests,
               k.budget_per_day_microdollars, k.budget_per_month_microdollars,
               t.requests_per_minute, t.tokens_per_minute, t.concurrent_requests,
               t.budget_per_day_microdollars, t.budget_per_month_microdollars,
               k.cache_mode, k.cache_ttl_seconds,
               CASE WHEN k.key_hash = wanted THEN k.expires_at ELSE least(k.expires_at, k.previous_key_until) END
        FROM api_keys k
        JOIN tenants t ON t.tenant_id = k.tenant_id
        WHERE (k.key_hash = wanted OR k.previous_key_hash = wanted) AND k.revoked_at IS NULL;
    END;

REVOKE ALL ON FUNCTION find_api_key(bytea), find_caller(bytea) FROM public;
GRANT EXECUTE ON FUNCTION find_api_key(bytea), find_caller(bytea) TO weir_app;
