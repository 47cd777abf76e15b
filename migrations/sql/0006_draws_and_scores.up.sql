ALTER TABLE intake_batches
    ADD COLUMN control integer NOT NULL DEFAULT 0,
    ADD COLUMN automated integer NOT NULL DEFAULT 0,
    ADD COLUMN share numeric(5, 4),
    ADD CONSTRAINT ck_intake_batches_draws_have_a_probability CHECK (control + automated = 0 OR share IS NOT NULL);

CREATE TABLE experiment_days (
    tenant_id text NOT NULL,
    automation text NOT NULL,
    share numeric(5, 4) NOT NULL,
    day timestamptz NOT NULL,
    drawn_control bigint NOT NULL,
    drawn_automated bigint NOT NULL,
    crossed_automated bigint NOT NULL,
    unclocked_control bigint NOT NULL,
    unclocked_automated bigint NOT NULL,
    reviews bigint NOT NULL,
    apart bigint NOT NULL,
    active_seconds numeric(24, 3) NOT NULL,
    span_seconds numeric(24, 3) NOT NULL,
    difference_seconds numeric(24, 3) NOT NULL,
    beyond_span_seconds numeric(24, 3) NOT NULL,
    CONSTRAINT pk_experiment_days PRIMARY KEY (tenant_id, automation, share, day)
);

CREATE TABLE score_sums (
    tenant_id text NOT NULL,
    automation text NOT NULL,
    grain text NOT NULL,
    period timestamptz NOT NULL,
    tier text NOT NULL,
    model_version text NOT NULL,
    proposed text NOT NULL,
    bin smallint NOT NULL,
    cases bigint NOT NULL,
    automatic bigint NOT NULL,
    reviewed bigint NOT NULL,
    reviewed_wrong bigint NOT NULL,
    auditable bigint NOT NULL,
    drawn bigint NOT NULL,
    audited bigint NOT NULL,
    audited_wrong bigint NOT NULL,
    weighted_wrong numeric(30, 10) NOT NULL,
    least numeric(5, 4),
    CONSTRAINT pk_score_sums PRIMARY KEY (tenant_id, automation, grain, period, tier, model_version, proposed, bin)
);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['experiment_days', 'score_sums'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own_tenant ON %I TO recoup_api USING (tenant_id = current_setting(''app.tenant'', true))'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO recoup_line USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO recoup_api, recoup_line', t);
    END LOOP;
END $$;
GRANT INSERT, UPDATE ON experiment_days, score_sums TO recoup_line;

-- From the first fact on: what was drawn before has no probability stored at intake and is in no sum; the rest is added up.
INSERT INTO rollup_horizons (name, horizon, rolled_at) VALUES ('evidence', '0', now());
