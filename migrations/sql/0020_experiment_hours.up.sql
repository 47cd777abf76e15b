-- As by day, but by hour: as known at a moment, its day is some hours and one piece of facts instead of a day of facts.
CREATE TABLE experiment_hours (LIKE experiment_days INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE experiment_hours RENAME COLUMN day TO hour;
ALTER TABLE experiment_hours ADD CONSTRAINT pk_experiment_hours PRIMARY KEY (tenant_id, hour, automation, share);

ALTER TABLE intake_batches NO FORCE ROW LEVEL SECURITY;
ALTER TABLE decisions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE cases NO FORCE ROW LEVEL SECURITY;
ALTER TABLE reviews NO FORCE ROW LEVEL SECURITY;
ALTER TABLE inferences NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger_lines NO FORCE ROW LEVEL SECURITY;
INSERT INTO experiment_hours (tenant_id, automation, share, hour, drawn_control, drawn_automated, crossed_automated, unclocked_control, unclocked_automated, reviews, apart,
    active_seconds, span_seconds, difference_seconds, beyond_span_seconds)
SELECT tenant_id, automation, share, date_trunc('hour', booked_at, 'UTC'),
    sum(drawn_control), sum(drawn_automated), sum(crossed_automated), sum(unclocked_control), sum(unclocked_automated), sum(reviews),
    sum(apart), sum(active_seconds), sum(span_seconds), sum(difference_seconds), sum(beyond_span_seconds)
FROM (
    SELECT i.tenant_id, i.automation, i.share, i.booked_at, i.control AS drawn_control, i.automated AS drawn_automated,
        0 AS crossed_automated, 0 AS unclocked_control, 0 AS unclocked_automated, 0 AS reviews, 0 AS apart,
        0::numeric AS active_seconds, 0::numeric AS span_seconds, 0::numeric AS difference_seconds, 0::numeric AS beyond_span_seconds
    FROM intake_batches i WHERE i.share IS NOT NULL AND i.xid < (SELECT horizon FROM rollup_horizons WHERE name = 'evidence')
    UNION ALL
    SELECT d.tenant_id, d.automation, c.control_probability, d.booked_at, 0, 0,
        (d.tier = 'human' AND d.arm = 'automated' AND NOT EXISTS (SELECT FROM inferences n WHERE n.case_id = d.case_id))::int,
        CASE WHEN d.arm = 'control' THEN (d.tier = 'human' AND NOT EXISTS (SELECT FROM ledger_lines l WHERE l.case_id = d.case_id AND l.xid = d.xid AND l.unit = 's' AND l.quantity > 0))::int ELSE 0 END,
        CASE WHEN d.arm = 'automated' THEN (d.tier = 'human' AND NOT EXISTS (SELECT FROM ledger_lines l WHERE l.case_id = d.case_id AND l.xid = d.xid AND l.unit = 's' AND l.quantity > 0))::int ELSE 0 END,
        (r.id IS NOT NULL)::int, (coalesce(abs(r.span_seconds - r.active_seconds), 0) > 60)::int,
        coalesce(r.active_seconds, 0), coalesce(r.span_seconds, 0), coalesce(abs(r.span_seconds - r.active_seconds), 0), greatest(0, coalesce(r.active_seconds - r.span_seconds, 0))
    FROM decisions d JOIN cases c ON c.id = d.case_id
    LEFT JOIN LATERAL (SELECT r.id, r.active_seconds, r.span_seconds FROM reviews r WHERE r.case_id = d.case_id  AND r.kind IN ('control', 'exception') AND r.state = 'submitted' AND r.span_seconds IS NOT NULL  ORDER BY r.submitted_at LIMIT 1) r ON true
    WHERE d.tier = 'human' AND d.xid < (SELECT horizon FROM rollup_horizons WHERE name = 'evidence')
) AS facts GROUP BY 1, 2, 3, 4;
ALTER TABLE intake_batches FORCE ROW LEVEL SECURITY;
ALTER TABLE decisions FORCE ROW LEVEL SECURITY;
ALTER TABLE cases FORCE ROW LEVEL SECURITY;
ALTER TABLE reviews FORCE ROW LEVEL SECURITY;
ALTER TABLE inferences FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger_lines FORCE ROW LEVEL SECURITY;

ALTER TABLE experiment_hours ENABLE ROW LEVEL SECURITY;
ALTER TABLE experiment_hours FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON experiment_hours TO recoup_api USING (tenant_id = current_setting('app.tenant', true))
    WITH CHECK (tenant_id = current_setting('app.tenant', true));
CREATE POLICY every_tenant ON experiment_hours TO recoup_line USING (true) WITH CHECK (true);
GRANT SELECT ON experiment_hours TO recoup_api, recoup_line;
GRANT INSERT, UPDATE ON experiment_hours TO recoup_line;
