DROP TABLE case_sums, ledger_sums, forecasts;
ALTER TABLE conservation_hourly NO FORCE ROW LEVEL SECURITY;
DELETE FROM conservation_hourly;
DROP INDEX ix_conservation_hourly_tenant_id_hour, ix_conservation_hourly_tenant_id_booked;
ALTER TABLE conservation_hourly FORCE ROW LEVEL SECURITY,
    DROP CONSTRAINT pk_conservation_hourly,
    DROP COLUMN booked,
    ADD CONSTRAINT pk_conservation_hourly PRIMARY KEY (tenant_id, automation, hour);
ALTER TABLE cases DROP COLUMN covariate;
ALTER TABLE intake_batches DROP COLUMN booked_at;
ALTER TABLE decisions DROP COLUMN booked_at, DROP COLUMN covariate;

CREATE TABLE roi_hourly (
    tenant_id text NOT NULL,
    automation text NOT NULL,
    arm text NOT NULL,
    stratum text NOT NULL,
    tier text NOT NULL,
    hour timestamptz NOT NULL,
    cases bigint NOT NULL,
    human_seconds numeric(24, 6) NOT NULL,
    human_seconds2 numeric(30, 6) NOT NULL,
    CONSTRAINT pk_roi_hourly PRIMARY KEY (tenant_id, automation, arm, stratum, tier, hour)
);
CREATE TABLE ledger_hourly (
    tenant_id text NOT NULL,
    automation text NOT NULL,
    arm text NOT NULL,
    kind text NOT NULL,
    grade text NOT NULL,
    currency text NOT NULL,
    hour timestamptz NOT NULL,
    lines bigint NOT NULL,
    quantity numeric(30, 9) NOT NULL,
    amount numeric(30, 10) NOT NULL,
    CONSTRAINT pk_ledger_hourly PRIMARY KEY (tenant_id, automation, arm, kind, grade, currency, hour)
);
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['roi_hourly', 'ledger_hourly'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own_tenant ON %I TO recoup_api USING (tenant_id = current_setting(''app.tenant'', true))'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO recoup_line USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO recoup_api, recoup_line', t);
    END LOOP;
END $$;
GRANT INSERT, UPDATE ON roi_hourly, ledger_hourly TO recoup_line;
UPDATE rollup_horizons SET horizon = '0' WHERE name = 'rollups';
