-- Answers about whole automations read a month's few buckets instead of each tier's and each model's bookings; so buckets hold what the
-- always-valid interval is made of as well, and there are some of months.
ALTER TABLE case_buckets ADD COLUMN gain numeric(30, 6) NOT NULL DEFAULT 0, ADD COLUMN gain_variance numeric(60, 6) NOT NULL DEFAULT 0;

ALTER TABLE case_sums NO FORCE ROW LEVEL SECURITY;
ALTER TABLE case_buckets NO FORCE ROW LEVEL SECURITY;
UPDATE case_buckets b SET gain = s.gain, gain_variance = s.gain_variance
FROM (
    SELECT tenant_id, grain, period, automation, stratum, share, sum(gain) AS gain, sum(gain_variance) AS gain_variance
    FROM case_sums WHERE grain <> 'month' GROUP BY 1, 2, 3, 4, 5, 6
) AS s
WHERE (b.tenant_id, b.grain, b.period, b.automation, b.stratum, b.share)
    = (s.tenant_id, s.grain, s.period, s.automation, s.stratum, s.share);
INSERT INTO case_buckets
    SELECT tenant_id, grain, period, automation, stratum, share,
        coalesce(sum(cases) FILTER (WHERE arm = 'control'), 0),
        coalesce(sum(cases) FILTER (WHERE arm <> 'control' AND tier = 'human'), 0),
        coalesce(sum(cases) FILTER (WHERE arm <> 'control' AND tier <> 'human'), 0),
        coalesce(sum(human_seconds) FILTER (WHERE arm <> 'control'), 0),
        coalesce(sum(human_seconds) FILTER (WHERE arm = 'control'), 0),
        coalesce(sum(human_seconds2) FILTER (WHERE arm = 'control'), 0),
        sum(gain), sum(gain_variance)
    FROM case_sums WHERE grain = 'month' GROUP BY 1, 2, 3, 4, 5, 6;
ALTER TABLE case_buckets FORCE ROW LEVEL SECURITY;
ALTER TABLE case_sums FORCE ROW LEVEL SECURITY;
