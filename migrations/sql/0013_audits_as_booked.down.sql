DROP INDEX ix_audits_tenant_id_created_at;
-- What is in the sums moves from the day of booking to the day of the decision.
ALTER TABLE audit_days NO FORCE ROW LEVEL SECURITY;
ALTER TABLE decisions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audits NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_findings NO FORCE ROW LEVEL SECURITY;
INSERT INTO audit_days AS h (tenant_id, automation, day, decisions, probability, least, drawn, done, disputed, wrong, weighted)
SELECT f.tenant_id, f.automation, CASE WHEN m.sign = 1 THEN f.decided ELSE f.booked END, sum(m.sign * f.decisions),
       sum(m.sign * f.probability), min(f.least), sum(m.sign * f.drawn), sum(m.sign * f.done), sum(m.sign * f.disputed),
       sum(m.sign * f.wrong), sum(m.sign * f.weighted)
FROM (
    SELECT tenant_id, automation, date_trunc('day', decided_at, 'UTC') AS decided, date_trunc('day', booked_at, 'UTC') AS booked,
           1 AS decisions, audit_probability AS probability, audit_probability AS least, 0 AS drawn, 0 AS done, 0 AS disputed, 0 AS wrong,
           0::numeric AS weighted
    FROM decisions WHERE audit_probability IS NOT NULL AND xid < rollup_horizon('audits')
    UNION ALL
    SELECT tenant_id, automation, date_trunc('day', decided_at, 'UTC'), date_trunc('day', created_at, 'UTC'), 0, 0, least, 1, 0, 0, 0, 0
    FROM audits WHERE xid < rollup_horizon('audits')
    UNION ALL
    SELECT a.tenant_id, a.automation, date_trunc('day', a.decided_at, 'UTC'), date_trunc('day', f.created_at, 'UTC'), 0, 0, a.least, 0,
           (f.wrong IS NOT NULL)::int, CASE WHEN f.round = 1 THEN -1 WHEN f.wrong IS NULL THEN 1 ELSE 0 END,
           coalesce(f.wrong, false)::int, CASE WHEN f.wrong THEN 1 / a.probability ELSE 0 END
    FROM audit_findings f JOIN audits a ON a.case_id = f.case_id WHERE f.xid < rollup_horizon('audits')
) f CROSS JOIN (VALUES (1), (-1)) AS m (sign)
WHERE f.decided <> f.booked GROUP BY 1, 2, 3
ON CONFLICT (tenant_id, automation, day) DO UPDATE SET decisions = h.decisions + excluded.decisions,
    probability = h.probability + excluded.probability, least = least(h.least, excluded.least), drawn = h.drawn + excluded.drawn,
    done = h.done + excluded.done, disputed = h.disputed + excluded.disputed, wrong = h.wrong + excluded.wrong,
    weighted = h.weighted + excluded.weighted;
DELETE FROM audit_days WHERE decisions = 0 AND drawn = 0 AND done = 0 AND disputed = 0 AND wrong = 0;
ALTER TABLE audit_findings FORCE ROW LEVEL SECURITY;
ALTER TABLE audits FORCE ROW LEVEL SECURITY;
ALTER TABLE decisions FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_days FORCE ROW LEVEL SECURITY;
