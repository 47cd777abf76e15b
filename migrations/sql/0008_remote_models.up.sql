CREATE TABLE remote_calls (
    id uuid NOT NULL,
    tenant_id text NOT NULL,
    automation text NOT NULL,
    case_id uuid NOT NULL,
    model text NOT NULL,
    day date NOT NULL,
    state text NOT NULL DEFAULT 'held',
    tokens bigint NOT NULL,
    amount numeric(20, 10) NOT NULL,
    currency text NOT NULL,
    counted boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    CONSTRAINT pk_remote_calls PRIMARY KEY (id),
    CONSTRAINT ck_remote_calls_known_state CHECK (state IN ('held','free','settled','booked')),
    CONSTRAINT ck_remote_calls_not_negative CHECK (amount >= 0 AND tokens >= 0)
);
CREATE INDEX ix_remote_calls_unbooked ON remote_calls (case_id) WHERE state IN ('held','settled');
CREATE INDEX ix_remote_calls_waiting ON remote_calls (created_at) WHERE state IN ('held','settled');

CREATE TABLE remote_spend (
    tenant_id text NOT NULL,
    automation text NOT NULL,
    day date NOT NULL,
    currency text NOT NULL,
    committed numeric(20, 10) NOT NULL,
    CONSTRAINT pk_remote_spend PRIMARY KEY (tenant_id, automation, day, currency),
    CONSTRAINT ck_remote_spend_not_negative CHECK (committed >= 0)
);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['remote_calls', 'remote_spend'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own_tenant ON %I TO recoup_api USING (tenant_id = current_setting(''app.tenant'', true))'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO recoup_line USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO recoup_api, recoup_line', t);
    END LOOP;
END $$;

GRANT INSERT, UPDATE ON remote_calls, remote_spend TO recoup_line;
