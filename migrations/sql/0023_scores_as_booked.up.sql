-- As known at a moment, a score counts from the moment that its decision was booked, and what a second look found of it from then on.
-- Added up anew from the facts: the sums did not remember. Nobody adds to them meanwhile, so the horizon is theirs.
ALTER TABLE score_sums ADD COLUMN booked timestamptz;
TRUNCATE score_sums;
ALTER TABLE score_sums DROP CONSTRAINT pk_score_sums;
ALTER TABLE score_sums NO FORCE ROW LEVEL SECURITY;
ALTER TABLE decisions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE inferences NO FORCE ROW LEVEL SECURITY;
ALTER TABLE reviews NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audits NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_findings NO FORCE ROW LEVEL SECURITY;
INSERT INTO score_sums (tenant_id, automation, grain, period, tier, model_version, proposed, bin, booked, cases, automatic, reviewed,
    reviewed_wrong, auditable, drawn, audited, audited_wrong, weighted_wrong, least)
SELECT tenant_id, automation, g.grain, date_trunc(g.grain, decided_at, 'UTC'), tier, model_version, proposed, bin,
    date_trunc(g.grain, booked_at, 'UTC'), sum(cases), sum(automatic), sum(reviewed), sum(reviewed_wrong), sum(auditable), sum(drawn),
    sum(audited), sum(audited_wrong), sum(weighted_wrong), min(least)
FROM (
    SELECT d.tenant_id, d.automation, n.tier, coalesce(n.model_version, '-') AS model_version,
        CASE WHEN d.tier <> 'human' THEN d.outcome ELSE coalesce(v.outcome, n.outcome, n.label, '-') END AS proposed, d.decided_at,
        greatest(least(floor(n.score * 100), 99), 0)::smallint AS bin, x.booked_at, x.cases, x.automatic, x.reviewed,
        CASE WHEN x.reviewed = 1 THEN (coalesce(v.outcome, n.outcome, n.label, '-') <> d.outcome)::int ELSE 0 END AS reviewed_wrong,
        x.auditable, x.drawn, x.audited, x.audited_wrong, x.weighted_wrong, x.least
    FROM (
        SELECT d.case_id, d.booked_at, 1 AS cases, (d.tier <> 'human')::int AS automatic, (d.tier = 'human')::int AS reviewed,
            (d.audit_probability IS NOT NULL)::int AS auditable, (a.case_id IS NOT NULL)::int AS drawn, 0 AS audited,
            0 AS audited_wrong, 0::numeric AS weighted_wrong, d.audit_probability AS least
        FROM decisions d LEFT JOIN audits a ON a.case_id = d.case_id
        WHERE d.arm = 'automated' AND d.xid < (SELECT horizon FROM rollup_horizons WHERE name = 'evidence')
        UNION ALL
        SELECT f.case_id, f.created_at, 0, 0, 0, 0, 0, 1, f.wrong::int, CASE WHEN f.wrong THEN 1 / a.probability ELSE 0 END, NULL
        FROM audit_findings f JOIN audits a ON a.case_id = f.case_id
        WHERE f.wrong IS NOT NULL AND f.xid < (SELECT horizon FROM rollup_horizons WHERE name = 'evidence')
    ) AS x
    JOIN decisions d ON d.case_id = x.case_id
    JOIN LATERAL (
        SELECT n.tier, n.model_version, n.outcome, n.label, n.score FROM inferences n WHERE n.case_id = d.case_id AND n.score IS NOT NULL
        ORDER BY n.attempt DESC, (n.tier = d.tier) DESC, n.position DESC LIMIT 1
    ) AS n ON true
    LEFT JOIN LATERAL (
        SELECT r.proposal ->> 'outcome' AS outcome FROM reviews r WHERE r.case_id = d.case_id AND r.kind = 'exception' ORDER BY r.round LIMIT 1
    ) AS v ON true
) AS facts CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS g (grain) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
ALTER TABLE audit_findings FORCE ROW LEVEL SECURITY;
ALTER TABLE audits FORCE ROW LEVEL SECURITY;
ALTER TABLE reviews FORCE ROW LEVEL SECURITY;
ALTER TABLE inferences FORCE ROW LEVEL SECURITY;
ALTER TABLE decisions FORCE ROW LEVEL SECURITY;
ALTER TABLE score_sums FORCE ROW LEVEL SECURITY;

ALTER TABLE score_sums ALTER COLUMN booked SET NOT NULL;
ALTER TABLE score_sums
    ADD CONSTRAINT pk_score_sums PRIMARY KEY (tenant_id, automation, grain, period, tier, model_version, proposed, bin, booked);
CREATE INDEX ix_score_sums_tenant_id_automation_grain_booked ON score_sums (tenant_id, automation, grain, booked);
