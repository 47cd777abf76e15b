-- Answers about whole automations read a month's few buckets instead of each tier's and each model's bookings; so buckets hold what the
-- always-valid interval is made of as well, and there are some of months. All are written anew, by period: rows that are changed one by one
-- would lie all over the table. An older steward, which knows no gain, is refused.
TRUNCATE case_buckets;
ALTER TABLE case_buckets ADD COLUMN gain numeric(30, 6) NOT NULL, ADD COLUMN gain_variance numeric(60, 6) NOT NULL;

ALTER TABLE case_sums NO FORCE ROW LEVEL SECURITY;
ALTER TABLE case_buckets NO FORCE ROW LEVEL SECURITY;
INSERT INTO case_buckets
    SELECT tenant_id, grain, period, automation, stratum, share,
        coalesce(sum(cases) FILTER (WHERE arm = 'control'), 0),
        coalesce(sum(cases) FILTER (WHERE arm <> 'control' AND tier = 'human'), 0),
        coalesce(sum(cases) FILTER (WHERE arm <> 'control' AND tier <> 'human'), 0),
        coalesce(sum(human_seconds) FILTER (WHERE arm <> 'control'), 0),
        coalesce(sum(human_seconds) FILTER (WHERE arm = 'control'), 0),
        coalesce(sum(human_seconds2) FILTER (WHERE arm = 'control'), 0),
        sum(gain), sum(gain_variance)
    FROM case_sums GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3;
ALTER TABLE case_buckets FORCE ROW LEVEL SECURITY;
ALTER TABLE case_sums FORCE ROW LEVEL SECURITY;
