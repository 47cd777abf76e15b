-- Sums of a period cut into hours, days or weeks need nothing of who booked when: without that, two years by week are some thousand rows.
CREATE TABLE case_buckets (
    tenant_id text NOT NULL,
    grain text NOT NULL,
    period timestamptz NOT NULL,
    automation text NOT NULL,
    stratum text NOT NULL,
    share numeric(5, 4) NOT NULL,
    control bigint NOT NULL,
    human bigint NOT NULL,
    automatic bigint NOT NULL,
    seconds numeric(24, 6) NOT NULL,
    control_seconds numeric(24, 6) NOT NULL,
    control_seconds2 numeric(30, 6) NOT NULL,
    CONSTRAINT pk_case_buckets PRIMARY KEY (tenant_id, grain, period, automation, stratum, share)
);
CREATE TABLE money_buckets (
    tenant_id text NOT NULL,
    grain text NOT NULL,
    period timestamptz NOT NULL,
    automation text NOT NULL,
    kind text NOT NULL,
    grade text NOT NULL,
    currency text NOT NULL,
    amount numeric(30, 10) NOT NULL,
    CONSTRAINT pk_money_buckets PRIMARY KEY (tenant_id, grain, period, automation, kind, grade, currency)
);

ALTER TABLE case_sums NO FORCE ROW LEVEL SECURITY;
INSERT INTO case_buckets
    SELECT tenant_id, grain, period, automation, stratum, share,
        coalesce(sum(cases) FILTER (WHERE arm = 'control'), 0),
        coalesce(sum(cases) FILTER (WHERE arm <> 'control' AND tier = 'human'), 0),
        coalesce(sum(cases) FILTER (WHERE arm <> 'control' AND tier <> 'human'), 0),
        coalesce(sum(human_seconds) FILTER (WHERE arm <> 'control'), 0),
        coalesce(sum(human_seconds) FILTER (WHERE arm = 'control'), 0),
        coalesce(sum(human_seconds2) FILTER (WHERE arm = 'control'), 0)
    FROM case_sums WHERE grain <> 'month' GROUP BY 1, 2, 3, 4, 5, 6;
ALTER TABLE case_sums FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger_sums NO FORCE ROW LEVEL SECURITY;
INSERT INTO money_buckets
    SELECT tenant_id, grain, period, automation, kind, grade, currency, sum(amount)
    FROM ledger_sums WHERE grain <> 'month' AND currency <> '-' GROUP BY 1, 2, 3, 4, 5, 6, 7;
ALTER TABLE ledger_sums FORCE ROW LEVEL SECURITY;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['case_buckets', 'money_buckets'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own_tenant ON %I TO recoup_api USING (tenant_id = current_setting(''app.tenant'', true))'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO recoup_line USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO recoup_api, recoup_line', t);
        EXECUTE format('GRANT INSERT, UPDATE ON %I TO recoup_line', t);
    END LOOP;
END $$;
