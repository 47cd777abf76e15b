CREATE TABLE model_windows (
    tenant_id text NOT NULL,
    automation text NOT NULL,
    tier text NOT NULL,
    model_version text NOT NULL,
    day date NOT NULL,
    outputs jsonb NOT NULL,
    cases bigint NOT NULL,
    is_reference boolean NOT NULL,
    finding jsonb,
    drifted boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_model_windows PRIMARY KEY (tenant_id, automation, tier, model_version, day)
);
CREATE UNIQUE INDEX uq_model_windows_reference ON model_windows (tenant_id, automation, tier, model_version) WHERE is_reference;
CREATE INDEX ix_model_windows_tenant_id_day ON model_windows (tenant_id, day);

ALTER TABLE model_windows ENABLE ROW LEVEL SECURITY;
ALTER TABLE model_windows FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON model_windows TO recoup_api USING (tenant_id = current_setting('app.tenant', true))
    WITH CHECK (tenant_id = current_setting('app.tenant', true));
CREATE POLICY every_tenant ON model_windows TO recoup_line USING (true) WITH CHECK (true);
GRANT SELECT ON model_windows TO recoup_api, recoup_line;
GRANT INSERT ON model_windows TO recoup_line;
