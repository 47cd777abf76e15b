-- Storage: hot rows are updated in place and vacuumed early.
ALTER TABLE cases SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
ALTER TABLE deliveries SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);

-- Row-level security: recoup_api sees the tenant of its transaction, recoup_line sees all; nobody else sees anything.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY[
        'api_keys', 'sources', 'source_secrets', 'endpoints', 'endpoint_secrets', 'automation_settings', 'audit_log',
        'cases', 'payloads', 'case_fingerprints', 'intake_batches', 'poison_records',
        'decisions', 'inferences', 'reviews', 'review_heartbeats',
        'baselines', 'rates', 'ledger_lines', 'ledger_leaves', 'ledger_nodes', 'ledger_seals', 'roi_hourly', 'ledger_hourly', 'conservation_hourly',
        'outbox', 'deliveries'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own_tenant ON %I TO recoup_api USING (tenant_id = current_setting(''app.tenant'', true))'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO recoup_line USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO recoup_api, recoup_line', t);
    END LOOP;
END $$;

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON tenants TO recoup_api USING (id = current_setting('app.tenant', true));
CREATE POLICY every_tenant ON tenants TO recoup_line USING (true) WITH CHECK (true);
GRANT SELECT ON tenants TO recoup_api, recoup_line;
GRANT INSERT, UPDATE ON tenants TO recoup_line;

-- Not a tenant's: how far the line and the roll-ups have come.
GRANT SELECT ON rollup_horizons, job_runs TO recoup_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON rollup_horizons, job_runs TO recoup_line;
GRANT SELECT, INSERT ON consumed_ranges TO recoup_line;

GRANT INSERT, UPDATE, DELETE ON
    api_keys, sources, source_secrets, endpoints, endpoint_secrets, automation_settings TO recoup_api, recoup_line;
GRANT INSERT, UPDATE ON cases, reviews, outbox, deliveries, poison_records TO recoup_api, recoup_line;
GRANT INSERT ON payloads, case_fingerprints, intake_batches, inferences, review_heartbeats TO recoup_api, recoup_line;
GRANT INSERT, UPDATE ON roi_hourly, ledger_hourly, conservation_hourly TO recoup_line;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO recoup_api, recoup_line;

-- Append-only: no privilege to change, and triggers that also fire for the owner and under session_replication_role = replica; once a
-- statement as well, because the owner, to whom row-level security shows no row, would not be told.
GRANT INSERT ON decisions, audit_log TO recoup_api, recoup_line;
GRANT INSERT ON ledger_leaves, ledger_nodes, ledger_seals TO recoup_line;
-- Not by column: when something was booked, and in which transaction, only the database says, so nothing can be dated back.
GRANT INSERT (id, tenant_id, automation, case_id, kind, sequence, arm, stratum, quantity, unit, amount, currency, grade, baseline_id,
              occurred_at, reverses) ON ledger_lines TO recoup_api, recoup_line;
GRANT INSERT (id, tenant_id, name, automation, value, currency, valid_from, source) ON rates TO recoup_api, recoup_line;
GRANT INSERT (id, tenant_id, automation, stratum, grade, mean_seconds, variance_seconds2, n, method, valid_from, expires_at)
    ON baselines TO recoup_api, recoup_line;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY[
        'ledger_lines', 'rates', 'baselines', 'ledger_leaves', 'ledger_nodes', 'ledger_seals', 'decisions', 'audit_log'
    ] LOOP
        EXECUTE format('CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', t);
        EXECUTE format('CREATE TRIGGER append_only_table BEFORE UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', t);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_rows', t);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_table', t);
    END LOOP;
END $$;

-- Lookups before a tenant is known run as the owner, one row at a time, by a key that cannot be guessed.
CREATE POLICY owner_looks_up ON api_keys FOR SELECT TO recoup_owner USING (true);
CREATE POLICY owner_looks_up ON sources FOR SELECT TO recoup_owner USING (true);
CREATE POLICY owner_looks_up ON source_secrets FOR SELECT TO recoup_owner USING (true);
CREATE POLICY owner_looks_up ON tenants FOR SELECT TO recoup_owner USING (true);

CREATE FUNCTION find_api_key(wanted text)
RETURNS TABLE (id uuid, tenant_id text, secret_sha256 bytea, roles text[], expires_at timestamptz, revoked_at timestamptz, last_used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.id, k.tenant_id, k.secret_sha256, k.roles, k.expires_at, k.revoked_at, k.last_used_at FROM api_keys k WHERE k.prefix = wanted
$$;

CREATE FUNCTION find_source(wanted uuid)
RETURNS TABLE (id uuid, tenant_id text, name text, event_type text, mapping jsonb, disabled_at timestamptz, sealed_secrets bytea[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.id, s.tenant_id, s.name, s.event_type, s.mapping, s.disabled_at,
           ARRAY(SELECT x.sealed FROM source_secrets x WHERE x.source_id = s.id AND (x.expires_at IS NULL OR x.expires_at > now()) ORDER BY x.created_at DESC)
    FROM sources s WHERE s.id = wanted
$$;

-- Payloads by month of receipt; the steward calls this every hour, the default partition catches what comes before it did.
CREATE TABLE payloads_default PARTITION OF payloads DEFAULT;

CREATE FUNCTION ensure_payload_partitions(months_ahead integer)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    first_day timestamptz;
    made integer := 0;
BEGIN
    FOR step IN 0..least(months_ahead, 36) LOOP
        -- Months are added in the function's own time zone: elsewhere a month that a clock change falls into has the wrong end.
        first_day := date_trunc('month', now()) + make_interval(months => step);
        CONTINUE WHEN to_regclass('payloads_' || to_char(first_day, 'YYYYMM')) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE %I PARTITION OF payloads FOR VALUES FROM (%L) TO (%L)',
                           'payloads_' || to_char(first_day, 'YYYYMM'), first_day, first_day + interval '1 month');
            made := made + 1;
        EXCEPTION
            -- The default partition already holds rows of this month, so they stay there; the months after it still get theirs.
            WHEN check_violation THEN NULL;
            -- Somebody else made it at the same moment.
            WHEN duplicate_table OR unique_violation THEN NULL;
        END;
    END LOOP;
    RETURN made;
END $$;

REVOKE ALL ON FUNCTION find_api_key(text), find_source(uuid), ensure_payload_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key(text), find_source(uuid) TO recoup_api, recoup_line;
GRANT EXECUTE ON FUNCTION ensure_payload_partitions(integer) TO recoup_line;

SELECT ensure_payload_partitions(3);

-- A row each: whoever locks it rolls up, or seals.
INSERT INTO rollup_horizons (name, horizon, rolled_at) VALUES ('rollups', '0', now()), ('seals', '0', now());

-- Where every record of an hour of receipt is, exact at any moment: one statement sees one moment, in which every fact is either in the
-- roll-up (below the horizon) or in the tail (at or above it). Row-level security is that of whoever asks.
CREATE VIEW conservation WITH (security_invoker = true) AS
SELECT f.tenant_id, f.automation, f.hour,
       sum(f.received)::bigint AS received, sum(f.automated)::bigint AS automated, sum(f.human)::bigint AS human,
       sum(f.control)::bigint AS control, sum(f.duplicate)::bigint AS duplicate, sum(f.rejected)::bigint AS rejected,
       sum(f.pending)::bigint AS pending, sum(f.processing)::bigint AS processing, sum(f.review)::bigint AS review,
       sum(f.quarantined)::bigint AS quarantined, sum(f.poison)::bigint AS poison,
       sum(f.received - f.automated - f.human - f.control - f.duplicate - f.rejected
           - f.pending - f.processing - f.review - f.quarantined - f.poison)::bigint AS difference
FROM (
    SELECT tenant_id, automation, hour, received, duplicate, rejected, automated, human, control,
           0 AS pending, 0 AS processing, 0 AS review, 0 AS quarantined, 0 AS poison
    FROM conservation_hourly
    UNION ALL
    SELECT tenant_id, automation, hour, received, duplicate, rejected, 0, 0, 0, 0, 0, 0, 0, 0
    FROM intake_batches
    WHERE xid >= coalesce((SELECT horizon FROM rollup_horizons WHERE name = 'rollups'), '0'::xid8)
    UNION ALL
    SELECT tenant_id, automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0,
           (arm = 'automated' AND tier <> 'human')::int, (arm = 'automated' AND tier = 'human')::int, (arm = 'control')::int, 0, 0, 0, 0, 0
    FROM decisions
    WHERE xid >= coalesce((SELECT horizon FROM rollup_horizons WHERE name = 'rollups'), '0'::xid8)
    UNION ALL
    SELECT tenant_id, automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0, 0, 0, 0,
           (state = 'pending')::int, (state = 'processing')::int, (state = 'review')::int, (state = 'quarantined')::int, 0
    FROM cases
    WHERE state <> 'decided'
    UNION ALL
    -- A poison record is counted as received when it is stored, and stays a dead letter: to resolve it is only a note.
    SELECT tenant_id, automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1
    FROM poison_records
    WHERE tenant_id IS NOT NULL AND automation IS NOT NULL
) f
GROUP BY f.tenant_id, f.automation, f.hour;
GRANT SELECT ON conservation TO recoup_api, recoup_line;
