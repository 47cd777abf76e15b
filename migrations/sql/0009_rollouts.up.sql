CREATE TABLE model_versions (
    automation text NOT NULL,
    version text NOT NULL,
    is_default boolean NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT pk_model_versions PRIMARY KEY (automation, version)
);

CREATE TABLE model_rollouts (
    tenant_id text NOT NULL,
    automation text NOT NULL,
    version text NOT NULL,
    state text NOT NULL,
    canary_share numeric(5, 4) NOT NULL DEFAULT 0,
    since timestamptz NOT NULL,
    evidence jsonb,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    reason text,
    CONSTRAINT pk_model_rollouts PRIMARY KEY (tenant_id, automation, version),
    CONSTRAINT ck_model_rollouts_known_state CHECK (state IN ('shadow','canary','active','retired')),
    CONSTRAINT ck_model_rollouts_only_a_canary_has_a_share CHECK (
        canary_share BETWEEN 0 AND 1 AND (state = 'canary') = (canary_share > 0))
);
CREATE UNIQUE INDEX uq_model_rollouts_active ON model_rollouts (tenant_id, automation) WHERE state = 'active';
CREATE UNIQUE INDEX uq_model_rollouts_tried ON model_rollouts (tenant_id, automation) WHERE state IN ('shadow','canary');

CREATE TABLE model_pairs (
    case_id uuid NOT NULL,
    candidate text NOT NULL,
    tenant_id text NOT NULL,
    automation text NOT NULL,
    present text NOT NULL,
    present_outcome text,
    candidate_outcome text,
    candidate_acted boolean,
    seen numeric(9, 8) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_model_pairs PRIMARY KEY (case_id, candidate),
    CONSTRAINT ck_model_pairs_seen_is_a_probability CHECK (seen BETWEEN 0 AND 1)
);
CREATE INDEX ix_model_pairs_tenant_id_automation_candidate_created_at ON model_pairs (tenant_id, automation, candidate, created_at);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['model_rollouts', 'model_pairs'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own_tenant ON %I TO recoup_api USING (tenant_id = current_setting(''app.tenant'', true))'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO recoup_line USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO recoup_api, recoup_line', t);
    END LOOP;
END $$;

GRANT SELECT ON model_versions TO recoup_api, recoup_line;
GRANT INSERT, UPDATE ON model_versions TO recoup_line;
-- A person rolls out; the steward only takes back.
GRANT INSERT, UPDATE ON model_rollouts TO recoup_api;
GRANT UPDATE ON model_rollouts TO recoup_line;
GRANT INSERT ON model_pairs TO recoup_line;
