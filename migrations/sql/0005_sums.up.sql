-- When a fact was booked. Of what is there already the nearest that is known counts; the table is append-only to everybody but its owner.
ALTER TABLE decisions ADD COLUMN covariate double precision
    CONSTRAINT ck_decisions_covariate_in_range CHECK (covariate BETWEEN -1e6 AND 1e6);
ALTER TABLE decisions ADD COLUMN booked_at timestamptz;
ALTER TABLE decisions DISABLE TRIGGER append_only_rows, DISABLE TRIGGER append_only_table, NO FORCE ROW LEVEL SECURITY;
UPDATE decisions SET booked_at = decided_at;
ALTER TABLE decisions ENABLE ALWAYS TRIGGER append_only_rows, ENABLE ALWAYS TRIGGER append_only_table, FORCE ROW LEVEL SECURITY,
    ALTER COLUMN booked_at SET DEFAULT now(), ALTER COLUMN booked_at SET NOT NULL;
CREATE INDEX ix_decisions_tenant_id_booked_at ON decisions (tenant_id, booked_at);

ALTER TABLE intake_batches ADD COLUMN booked_at timestamptz;
ALTER TABLE intake_batches NO FORCE ROW LEVEL SECURITY;
UPDATE intake_batches SET booked_at = hour;
ALTER TABLE intake_batches FORCE ROW LEVEL SECURITY, ALTER COLUMN booked_at SET DEFAULT now(), ALTER COLUMN booked_at SET NOT NULL;
CREATE INDEX ix_intake_batches_tenant_id_booked_at ON intake_batches (tenant_id, booked_at);

ALTER TABLE cases ADD COLUMN covariate double precision;

DROP TABLE roi_hourly, ledger_hourly;

CREATE TABLE case_sums (
    tenant_id text NOT NULL,
    grain text NOT NULL,
    period timestamptz NOT NULL,
    booked timestamptz NOT NULL,
    automation text NOT NULL,
    arm text NOT NULL,
    stratum text NOT NULL,
    tier text NOT NULL,
    source text NOT NULL,
    model_version text NOT NULL,
    share numeric(5, 4) NOT NULL,
    cases bigint NOT NULL,
    human_seconds numeric(24, 6) NOT NULL,
    human_seconds2 numeric(30, 6) NOT NULL,
    late_seconds numeric(24, 6) NOT NULL,
    covariate numeric(30, 6) NOT NULL,
    covariate2 numeric(36, 6) NOT NULL,
    covariate_seconds numeric(36, 6) NOT NULL,
    gain numeric(30, 6) NOT NULL,
    gain_variance numeric(60, 6) NOT NULL,
    CONSTRAINT pk_case_sums
        PRIMARY KEY (tenant_id, grain, period, booked, automation, arm, stratum, tier, source, model_version, share)
);
CREATE INDEX ix_case_sums_tenant_id_grain_booked ON case_sums (tenant_id, grain, booked);

CREATE TABLE ledger_sums (
    tenant_id text NOT NULL,
    grain text NOT NULL,
    period timestamptz NOT NULL,
    booked timestamptz NOT NULL,
    automation text NOT NULL,
    arm text NOT NULL,
    kind text NOT NULL,
    grade text NOT NULL,
    currency text NOT NULL,
    lines bigint NOT NULL,
    quantity numeric(30, 9) NOT NULL,
    amount numeric(30, 10) NOT NULL,
    reversed numeric(30, 10) NOT NULL,
    CONSTRAINT pk_ledger_sums PRIMARY KEY (tenant_id, grain, period, booked, automation, arm, kind, grade, currency)
);
CREATE INDEX ix_ledger_sums_tenant_id_grain_booked ON ledger_sums (tenant_id, grain, booked);

CREATE TABLE forecasts (
    tenant_id text NOT NULL,
    automation text NOT NULL,
    stratum text NOT NULL,
    since xid8 NOT NULL,
    day timestamptz NOT NULL,
    control bigint NOT NULL,
    intercept numeric(18, 6) NOT NULL,
    slope numeric(18, 6) NOT NULL,
    CONSTRAINT pk_forecasts PRIMARY KEY (tenant_id, automation, stratum, since)
);

ALTER TABLE conservation_hourly NO FORCE ROW LEVEL SECURITY;
DELETE FROM conservation_hourly;
ALTER TABLE conservation_hourly FORCE ROW LEVEL SECURITY,
    ADD COLUMN booked timestamptz NOT NULL,
    DROP CONSTRAINT pk_conservation_hourly,
    ADD CONSTRAINT pk_conservation_hourly PRIMARY KEY (tenant_id, automation, hour, booked);
CREATE INDEX ix_conservation_hourly_tenant_id_hour ON conservation_hourly (tenant_id, hour);
CREATE INDEX ix_conservation_hourly_tenant_id_booked ON conservation_hourly (tenant_id, booked);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['case_sums', 'ledger_sums', 'forecasts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own_tenant ON %I TO recoup_api USING (tenant_id = current_setting(''app.tenant'', true))'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO recoup_line USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO recoup_api, recoup_line', t);
    END LOOP;
END $$;
GRANT INSERT, UPDATE ON case_sums, ledger_sums TO recoup_line;
GRANT INSERT ON forecasts TO recoup_line;

-- The steward adds everything up anew, from the facts.
UPDATE rollup_horizons SET horizon = '0' WHERE name = 'rollups';
