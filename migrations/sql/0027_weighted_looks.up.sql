-- What judged looks stand for is a share of all decisions weighted by 1/probability: drawn, done and disputed ones are summed so, as wrong ones
-- are. Each weight is rounded by itself now, so that sums of the same facts are the same; those of the wrong ones are added up anew for it.
-- Nobody adds to the sums meanwhile, so the horizons are theirs.
ALTER TABLE audit_hours ADD COLUMN weighted_drawn numeric(30, 10) NOT NULL DEFAULT 0,
    ADD COLUMN weighted_done numeric(30, 10) NOT NULL DEFAULT 0, ADD COLUMN weighted_disputed numeric(30, 10) NOT NULL DEFAULT 0;
ALTER TABLE audit_days ADD COLUMN weighted_drawn numeric(30, 10) NOT NULL DEFAULT 0,
    ADD COLUMN weighted_done numeric(30, 10) NOT NULL DEFAULT 0, ADD COLUMN weighted_disputed numeric(30, 10) NOT NULL DEFAULT 0;
ALTER TABLE audit_months ADD COLUMN weighted_drawn numeric(30, 10) NOT NULL DEFAULT 0,
    ADD COLUMN weighted_done numeric(30, 10) NOT NULL DEFAULT 0, ADD COLUMN weighted_disputed numeric(30, 10) NOT NULL DEFAULT 0;
ALTER TABLE score_sums ADD COLUMN weighted_drawn numeric(30, 10) NOT NULL DEFAULT 0,
    ADD COLUMN weighted_audited numeric(30, 10) NOT NULL DEFAULT 0;

ALTER TABLE audits NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_findings NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_hours NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_days NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_months NO FORCE ROW LEVEL SECURITY;
ALTER TABLE score_sums NO FORCE ROW LEVEL SECURITY;
ALTER TABLE decisions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE inferences NO FORCE ROW LEVEL SECURITY;
ALTER TABLE reviews NO FORCE ROW LEVEL SECURITY;

UPDATE audit_hours r SET weighted = e.weighted, weighted_drawn = e.drawn, weighted_done = e.done, weighted_disputed = e.disputed
FROM (
    SELECT tenant_id, automation, date_trunc('hour', booked, 'UTC') AS hour, sum(weighted) AS weighted, sum(drawn) AS drawn,
        sum(done) AS done, sum(disputed) AS disputed
    FROM (
        SELECT tenant_id, automation, created_at AS booked, 0 AS weighted, round(1 / probability, 10) AS drawn, 0 AS done, 0 AS disputed
        FROM audits WHERE xid < rollup_horizon('audits')
        UNION ALL
        SELECT a.tenant_id, a.automation, f.created_at, CASE WHEN f.wrong THEN round(1 / a.probability, 10) ELSE 0 END, 0,
            CASE WHEN f.wrong IS NOT NULL THEN round(1 / a.probability, 10) ELSE 0 END,
            CASE WHEN f.round = 1 THEN -1 WHEN f.wrong IS NULL THEN 1 ELSE 0 END * round(1 / a.probability, 10)
        FROM audit_findings f JOIN audits a ON a.case_id = f.case_id WHERE f.xid < rollup_horizon('audits')
    ) AS facts GROUP BY 1, 2, 3
) AS e WHERE r.tenant_id = e.tenant_id AND r.automation = e.automation AND r.hour = e.hour;
UPDATE audit_days r SET weighted = e.weighted, weighted_drawn = e.drawn, weighted_done = e.done, weighted_disputed = e.disputed
FROM (
    SELECT tenant_id, automation, date_trunc('day', hour, 'UTC') AS day, sum(weighted) AS weighted, sum(weighted_drawn) AS drawn,
        sum(weighted_done) AS done, sum(weighted_disputed) AS disputed
    FROM audit_hours GROUP BY 1, 2, 3
) AS e WHERE r.tenant_id = e.tenant_id AND r.automation = e.automation AND r.day = e.day;
UPDATE audit_months r SET weighted = e.weighted, weighted_drawn = e.drawn, weighted_done = e.done, weighted_disputed = e.disputed
FROM (
    SELECT tenant_id, automation, date_trunc('month', hour, 'UTC') AS month, sum(weighted) AS weighted, sum(weighted_drawn) AS drawn,
        sum(weighted_done) AS done, sum(weighted_disputed) AS disputed
    FROM audit_hours GROUP BY 1, 2, 3
) AS e WHERE r.tenant_id = e.tenant_id AND r.automation = e.automation AND r.month = e.month;

UPDATE score_sums r SET weighted_drawn = e.weighted_drawn, weighted_audited = e.weighted_audited, weighted_wrong = e.weighted_wrong
FROM (
    SELECT tenant_id, automation, g.grain, date_trunc(g.grain, decided_at, 'UTC') AS period, tier, model_version, proposed, bin,
        date_trunc(g.grain, booked_at, 'UTC') AS booked, sum(weighted_drawn) AS weighted_drawn, sum(weighted_audited) AS weighted_audited,
        sum(weighted_wrong) AS weighted_wrong
    FROM (
        SELECT d.tenant_id, d.automation, n.tier, coalesce(n.model_version, '-') AS model_version,
            CASE WHEN d.tier <> 'human' THEN d.outcome ELSE coalesce(v.outcome, n.outcome, n.label, '-') END AS proposed, d.decided_at,
            greatest(least(floor(n.score * 100), 99), 0)::smallint AS bin, x.booked_at, x.weighted_drawn, x.weighted_audited, x.weighted_wrong
        FROM (
            SELECT d.case_id, d.booked_at, round(1 / a.probability, 10) AS weighted_drawn, 0 AS weighted_audited, 0 AS weighted_wrong
            FROM audits a JOIN decisions d ON d.case_id = a.case_id
            WHERE d.arm = 'automated' AND d.xid < rollup_horizon('evidence')
            UNION ALL
            SELECT f.case_id, f.created_at, 0, round(1 / a.probability, 10), CASE WHEN f.wrong THEN round(1 / a.probability, 10) ELSE 0 END
            FROM audit_findings f JOIN audits a ON a.case_id = f.case_id
            WHERE f.wrong IS NOT NULL AND f.xid < rollup_horizon('evidence')
        ) AS x
        JOIN decisions d ON d.case_id = x.case_id
        JOIN LATERAL (
            SELECT n.tier, n.model_version, n.outcome, n.label, n.score FROM inferences n WHERE n.case_id = d.case_id AND n.score IS NOT NULL
            ORDER BY n.attempt DESC, (n.tier = d.tier) DESC, n.position DESC LIMIT 1
        ) AS n ON true
        LEFT JOIN LATERAL (
            SELECT r.proposal ->> 'outcome' AS outcome FROM reviews r WHERE r.case_id = d.case_id AND r.kind = 'exception'
            ORDER BY r.round LIMIT 1
        ) AS v ON true
    ) AS facts CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS g (grain) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
) AS e WHERE (r.tenant_id, r.automation, r.grain, r.period, r.tier, r.model_version, r.proposed, r.bin, r.booked)
    = (e.tenant_id, e.automation, e.grain, e.period, e.tier, e.model_version, e.proposed, e.bin, e.booked);

ALTER TABLE reviews FORCE ROW LEVEL SECURITY;
ALTER TABLE inferences FORCE ROW LEVEL SECURITY;
ALTER TABLE decisions FORCE ROW LEVEL SECURITY;
ALTER TABLE score_sums FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_months FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_days FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_hours FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_findings FORCE ROW LEVEL SECURITY;
ALTER TABLE audits FORCE ROW LEVEL SECURITY;

-- An older steward, which knows no weights, is refused: what it added up without them would look like decisions that nobody judged.
ALTER TABLE audit_hours ALTER COLUMN weighted_drawn DROP DEFAULT, ALTER COLUMN weighted_done DROP DEFAULT,
    ALTER COLUMN weighted_disputed DROP DEFAULT;
ALTER TABLE audit_days ALTER COLUMN weighted_drawn DROP DEFAULT, ALTER COLUMN weighted_done DROP DEFAULT,
    ALTER COLUMN weighted_disputed DROP DEFAULT;
ALTER TABLE audit_months ALTER COLUMN weighted_drawn DROP DEFAULT, ALTER COLUMN weighted_done DROP DEFAULT,
    ALTER COLUMN weighted_disputed DROP DEFAULT;
ALTER TABLE score_sums ALTER COLUMN weighted_drawn DROP DEFAULT, ALTER COLUMN weighted_audited DROP DEFAULT;
