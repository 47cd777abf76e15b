-- As by day, but by hour: as known at a moment, its day is some hours and one piece of facts instead of a day of facts.
CREATE TABLE audit_hours (LIKE audit_days INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE audit_hours RENAME COLUMN day TO hour;
ALTER TABLE audit_hours ADD CONSTRAINT pk_audit_hours PRIMARY KEY (tenant_id, hour, automation);

ALTER TABLE decisions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audits NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_findings NO FORCE ROW LEVEL SECURITY;
INSERT INTO audit_hours (tenant_id, automation, hour, decisions, probability, least, drawn, done, disputed, wrong, weighted)
SELECT tenant_id, automation, date_trunc('hour', booked, 'UTC'),
    sum(decisions), sum(probability), min(least), sum(drawn), sum(done), sum(disputed), sum(wrong), sum(weighted)
FROM (
    SELECT tenant_id, automation, booked_at AS booked, 1 AS decisions, audit_probability AS probability, audit_probability AS least,
        0 AS drawn, 0 AS done, 0 AS disputed, 0 AS wrong, 0::numeric AS weighted
    FROM decisions WHERE audit_probability IS NOT NULL AND xid < rollup_horizon('audits')
    UNION ALL
    SELECT tenant_id, automation, created_at, 0, 0, least, 1, 0, 0, 0, 0 FROM audits WHERE xid < rollup_horizon('audits')
    UNION ALL
    SELECT a.tenant_id, a.automation, f.created_at, 0, 0, a.least, 0, (f.wrong IS NOT NULL)::int,
        CASE WHEN f.round = 1 THEN -1 WHEN f.wrong IS NULL THEN 1 ELSE 0 END, coalesce(f.wrong, false)::int,
        CASE WHEN f.wrong THEN 1 / a.probability ELSE 0 END
    FROM audit_findings f JOIN audits a ON a.case_id = f.case_id WHERE f.xid < rollup_horizon('audits')
) AS facts GROUP BY 1, 2, 3;
ALTER TABLE audit_findings FORCE ROW LEVEL SECURITY;
ALTER TABLE audits FORCE ROW LEVEL SECURITY;
ALTER TABLE decisions FORCE ROW LEVEL SECURITY;

ALTER TABLE audit_hours ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_hours FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON audit_hours TO recoup_api USING (tenant_id = current_setting('app.tenant', true))
    WITH CHECK (tenant_id = current_setting('app.tenant', true));
CREATE POLICY every_tenant ON audit_hours TO recoup_line USING (true) WITH CHECK (true);
GRANT SELECT ON audit_hours TO recoup_api, recoup_line;
GRANT INSERT, UPDATE ON audit_hours TO recoup_line;
