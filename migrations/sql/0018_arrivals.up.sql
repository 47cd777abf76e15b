-- Cases that needed a person, by day of receipt: two years of hours are more than an answer can wait for.
CREATE TABLE arrival_days (
    tenant_id text NOT NULL,
    automation text NOT NULL,
    day timestamptz NOT NULL,
    people bigint NOT NULL,
    CONSTRAINT pk_arrival_days PRIMARY KEY (tenant_id, automation, day)
);

ALTER TABLE conservation_hourly NO FORCE ROW LEVEL SECURITY;
INSERT INTO arrival_days (tenant_id, automation, day, people)
    SELECT tenant_id, automation, date_trunc('day', hour, 'UTC'), sum(human + control) FROM conservation_hourly
    GROUP BY 1, 2, 3 HAVING sum(human + control) > 0;
ALTER TABLE conservation_hourly FORCE ROW LEVEL SECURITY;

ALTER TABLE arrival_days ENABLE ROW LEVEL SECURITY;
ALTER TABLE arrival_days FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON arrival_days TO recoup_api USING (tenant_id = current_setting('app.tenant', true))
    WITH CHECK (tenant_id = current_setting('app.tenant', true));
CREATE POLICY every_tenant ON arrival_days TO recoup_line USING (true) WITH CHECK (true);
GRANT SELECT ON arrival_days TO recoup_api, recoup_line;
GRANT INSERT, UPDATE ON arrival_days TO recoup_line;
