ALTER TABLE score_sums NO FORCE ROW LEVEL SECURITY;
CREATE TEMPORARY TABLE whenever_booked ON COMMIT DROP AS
    SELECT tenant_id, automation, grain, period, tier, model_version, proposed, bin, sum(cases) AS cases, sum(automatic) AS automatic,
           sum(reviewed) AS reviewed, sum(reviewed_wrong) AS reviewed_wrong, sum(auditable) AS auditable, sum(drawn) AS drawn,
           sum(audited) AS audited, sum(audited_wrong) AS audited_wrong, sum(weighted_wrong) AS weighted_wrong, min(least) AS least
    FROM score_sums GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
TRUNCATE score_sums;
DROP INDEX ix_score_sums_tenant_id_automation_grain_booked;
ALTER TABLE score_sums DROP CONSTRAINT pk_score_sums;
ALTER TABLE score_sums DROP COLUMN booked;
ALTER TABLE score_sums ADD CONSTRAINT pk_score_sums PRIMARY KEY (tenant_id, automation, grain, period, tier, model_version, proposed, bin);
INSERT INTO score_sums (tenant_id, automation, grain, period, tier, model_version, proposed, bin, cases, automatic, reviewed, reviewed_wrong,
    auditable, drawn, audited, audited_wrong, weighted_wrong, least)
    SELECT * FROM whenever_booked;
DROP TABLE whenever_booked;
ALTER TABLE score_sums FORCE ROW LEVEL SECURITY;
