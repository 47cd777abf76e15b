-- Sums of second looks are only ever asked for as a whole: by day they are a twenty-fourth of the rows.
ALTER TABLE audit_hourly NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_hourly RENAME COLUMN hour TO day;
ALTER TABLE audit_hourly RENAME CONSTRAINT pk_audit_hourly TO pk_audit_days;
ALTER TABLE audit_hourly RENAME TO audit_days;
CREATE TEMPORARY TABLE by_day ON COMMIT DROP AS
    SELECT tenant_id, automation, date_trunc('day', day, 'UTC') AS day, sum(decisions) AS decisions, sum(probability) AS probability,
           min(least) AS least, sum(drawn) AS drawn, sum(done) AS done, sum(disputed) AS disputed, sum(wrong) AS wrong,
           sum(weighted) AS weighted
    FROM audit_days GROUP BY 1, 2, 3;
DELETE FROM audit_days;
INSERT INTO audit_days (tenant_id, automation, day, decisions, probability, least, drawn, done, disputed, wrong, weighted)
    SELECT tenant_id, automation, day, decisions, probability, least, drawn, done, disputed, wrong, weighted FROM by_day;
DROP TABLE by_day;
ALTER TABLE audit_days FORCE ROW LEVEL SECURITY;
