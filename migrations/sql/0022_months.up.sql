-- As by day, but by month: what says how sound an experiment is, and how often it was wrong, is asked for since its beginning.
CREATE TABLE experiment_months (LIKE experiment_days INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE experiment_months RENAME COLUMN day TO month;
ALTER TABLE experiment_months ADD CONSTRAINT pk_experiment_months PRIMARY KEY (tenant_id, automation, share, month);
CREATE TABLE audit_months (LIKE audit_days INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE audit_months RENAME COLUMN day TO month;
ALTER TABLE audit_months ADD CONSTRAINT pk_audit_months PRIMARY KEY (tenant_id, automation, month);

ALTER TABLE experiment_days NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_days NO FORCE ROW LEVEL SECURITY;
INSERT INTO experiment_months (tenant_id, automation, share, month, drawn_control, drawn_automated, crossed_automated, unclocked_control,
    unclocked_automated, reviews, apart, active_seconds, span_seconds, difference_seconds, beyond_span_seconds)
SELECT tenant_id, automation, share, date_trunc('month', day, 'UTC'),
    sum(drawn_control), sum(drawn_automated), sum(crossed_automated), sum(unclocked_control), sum(unclocked_automated), sum(reviews),
    sum(apart), sum(active_seconds), sum(span_seconds), sum(difference_seconds), sum(beyond_span_seconds)
FROM experiment_days GROUP BY 1, 2, 3, 4;
INSERT INTO audit_months (tenant_id, automation, month, decisions, probability, least, drawn, done, disputed, wrong, weighted)
SELECT tenant_id, automation, date_trunc('month', day, 'UTC'),
    sum(decisions), sum(probability), min(least), sum(drawn), sum(done), sum(disputed), sum(wrong), sum(weighted)
FROM audit_days GROUP BY 1, 2, 3;
ALTER TABLE experiment_days FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_days FORCE ROW LEVEL SECURITY;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['experiment_months', 'audit_months'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY own_tenant ON %I TO recoup_api USING (tenant_id = current_setting(''app.tenant'', true))'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO recoup_line USING (true) WITH CHECK (true)', t);
    END LOOP;
END $$;
GRANT SELECT ON experiment_months, audit_months TO recoup_api, recoup_line;
GRANT INSERT, UPDATE ON experiment_months, audit_months TO recoup_line;
