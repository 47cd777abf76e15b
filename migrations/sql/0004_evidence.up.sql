-- Second looks: what is drawn, and what they find, is append-only like the decisions that they are about.
CREATE TABLE audits (
    case_id uuid NOT NULL,
    tenant_id text NOT NULL,
    automation text NOT NULL,
    stratum text NOT NULL,
    probability numeric(5, 4) NOT NULL,
    least numeric(5, 4) NOT NULL,
    outcome text NOT NULL,
    tier text NOT NULL,
    model_version text,
    decided_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT pk_audits PRIMARY KEY (case_id),
    CONSTRAINT ck_audits_probabilities_in_order CHECK (least > 0 AND least <= probability AND probability <= 1)
);
CREATE INDEX ix_audits_xid ON audits (xid);
CREATE INDEX ix_audits_tenant_id_automation_decided_at ON audits (tenant_id, automation, decided_at);

CREATE TABLE audit_findings (
    case_id uuid NOT NULL,
    round smallint NOT NULL,
    tenant_id text NOT NULL,
    automation text NOT NULL,
    review_id uuid NOT NULL,
    outcome text NOT NULL,
    wrong boolean,
    reviewer text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT pk_audit_findings PRIMARY KEY (case_id, round),
    CONSTRAINT ck_audit_findings_wrong_takes_two_people CHECK (wrong IS NOT TRUE AND round = 0 OR wrong IS NOT NULL AND round = 1)
);
CREATE INDEX ix_audit_findings_xid ON audit_findings (xid);
CREATE INDEX ix_audit_findings_tenant_id_created_at ON audit_findings (tenant_id, created_at);

CREATE TABLE audit_hourly (
    tenant_id text NOT NULL,
    automation text NOT NULL,
    hour timestamptz NOT NULL,
    decisions bigint NOT NULL DEFAULT 0,
    probability numeric(24, 4) NOT NULL DEFAULT 0,
    least numeric(5, 4),
    drawn bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    disputed bigint NOT NULL DEFAULT 0,
    wrong bigint NOT NULL DEFAULT 0,
    weighted numeric(30, 10) NOT NULL DEFAULT 0,
    CONSTRAINT pk_audit_hourly PRIMARY KEY (tenant_id, automation, hour)
);

CREATE TABLE brake_evidence (
    tenant_id text NOT NULL,
    automation text NOT NULL,
    stakes double precision[] NOT NULL,
    reserve double precision NOT NULL,
    audits integer NOT NULL,
    wrong integer NOT NULL,
    highest double precision NOT NULL,
    horizon xid8 NOT NULL,
    since timestamptz NOT NULL,
    CONSTRAINT pk_brake_evidence PRIMARY KEY (tenant_id, automation)
);

CREATE TABLE brakes (
    id uuid NOT NULL,
    tenant_id text NOT NULL,
    automation text NOT NULL,
    braked_at timestamptz NOT NULL,
    evidence jsonb NOT NULL,
    released_at timestamptz,
    released_by text,
    note text,
    CONSTRAINT pk_brakes PRIMARY KEY (id),
    CONSTRAINT ck_brakes_released_by_somebody CHECK ((released_at IS NULL) = (released_by IS NULL))
);
-- However many stewards: an automation is braked once.
CREATE UNIQUE INDEX uq_brakes_on ON brakes (tenant_id, automation) WHERE released_at IS NULL;
CREATE INDEX ix_brakes_tenant_id_braked_at ON brakes (tenant_id, braked_at);

ALTER TABLE decisions ADD COLUMN audit_probability numeric(5, 4);
ALTER TABLE automation_settings
    ADD COLUMN audit_share numeric(5, 4) NOT NULL DEFAULT 0.02,
    ADD COLUMN audit_strata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN error_limit numeric(5, 4) NOT NULL DEFAULT 0.05,
    ADD CONSTRAINT ck_automation_settings_audit_share_is_a_share CHECK (audit_share BETWEEN 0 AND 1),
    ADD CONSTRAINT ck_automation_settings_error_limit_is_a_rate CHECK (error_limit > 0 AND error_limit < 1);

-- Late outcomes: not cases, but kept and counted like them.
CREATE TABLE case_outcomes (
    id uuid NOT NULL,
    tenant_id text NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    body_sha256 bytea NOT NULL,
    named_case uuid,
    named_source text,
    named_event_id text,
    result text NOT NULL,
    amount numeric(18, 4),
    currency text,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    traceparent text,
    state text NOT NULL DEFAULT 'waiting',
    case_id uuid,
    lines smallint,
    settled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_case_outcomes PRIMARY KEY (id),
    CONSTRAINT uq_case_outcomes_tenant_id_source_event_id UNIQUE (tenant_id, source, event_id),
    CONSTRAINT ck_case_outcomes_known_result CHECK (result IN ('reopened','appealed','refunded','confirmed_wrong','confirmed_right')),
    CONSTRAINT ck_case_outcomes_known_state CHECK (state IN ('waiting','applied','unmatched')),
    CONSTRAINT ck_case_outcomes_settled_when_not_waiting CHECK ((state = 'waiting') = (settled_at IS NULL)),
    CONSTRAINT ck_case_outcomes_amount_has_a_currency CHECK ((amount IS NULL) = (currency IS NULL)),
    CONSTRAINT ck_case_outcomes_names_one_case CHECK (
        (named_case IS NULL) = (named_event_id IS NOT NULL) AND (named_source IS NULL) = (named_event_id IS NULL))
);
CREATE INDEX ix_case_outcomes_waiting ON case_outcomes (received_at) WHERE state = 'waiting';
CREATE INDEX ix_case_outcomes_tenant_id_received_at_id ON case_outcomes (tenant_id, received_at, id);
CREATE INDEX ix_case_outcomes_case_id ON case_outcomes (case_id);
CREATE UNIQUE INDEX uq_ledger_lines_reverses ON ledger_lines (reverses) WHERE reverses IS NOT NULL;

-- A correction of a rate is one more row from the same moment on; the one stored last counts.
ALTER TABLE rates DROP CONSTRAINT uq_rates_tenant_id_name_automation_valid_from;
ALTER TABLE rates ADD CONSTRAINT uq_rates_tenant_id_name_automation_valid_from_created_at
    UNIQUE (tenant_id, name, automation, valid_from, created_at);

-- Messages about no single decision, and who wants them.
ALTER TABLE endpoints ADD COLUMN events text[] NOT NULL DEFAULT '{decision.made,decision.corrected}';
ALTER TABLE outbox ALTER COLUMN case_id DROP NOT NULL, ADD COLUMN subject text;
ALTER TABLE outbox ADD CONSTRAINT ck_outbox_about_a_case_or_a_subject CHECK ((case_id IS NULL) = (subject IS NOT NULL));
CREATE UNIQUE INDEX uq_outbox_subject ON outbox (tenant_id, kind, subject) WHERE subject IS NOT NULL;

-- CPU time as it was spent (no tenant) and as it was metered on cases, until the difference is booked.
CREATE TABLE cpu_meter (
    id bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id text,
    automation text,
    process text NOT NULL,
    cpu_ns bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT pk_cpu_meter PRIMARY KEY (id),
    CONSTRAINT ck_cpu_meter_spent_or_metered CHECK ((tenant_id IS NULL) = (automation IS NULL))
);
CREATE INDEX ix_cpu_meter_xid ON cpu_meter (xid);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['audits', 'audit_findings', 'audit_hourly', 'brake_evidence', 'brakes', 'case_outcomes', 'cpu_meter'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own_tenant ON %I TO recoup_api USING (tenant_id = current_setting(''app.tenant'', true))'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO recoup_line USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO recoup_api, recoup_line', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['audits', 'audit_findings'] LOOP
        EXECUTE format('CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', t);
        EXECUTE format('CREATE TRIGGER append_only_table BEFORE UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', t);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_rows', t);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_table', t);
    END LOOP;
END $$;

-- When something was found, and in which transaction, only the database says.
GRANT INSERT (case_id, tenant_id, automation, stratum, probability, least, outcome, tier, model_version, decided_at) ON audits TO recoup_line;
GRANT INSERT (case_id, round, tenant_id, automation, review_id, outcome, wrong, reviewer) ON audit_findings TO recoup_api, recoup_line;
GRANT INSERT, UPDATE ON audit_hourly, brakes, brake_evidence TO recoup_line;
-- A person releases a brake, which forgets the evidence so far.
GRANT UPDATE ON brakes, brake_evidence TO recoup_api;
GRANT INSERT ON case_outcomes TO recoup_api, recoup_line;
GRANT UPDATE ON case_outcomes TO recoup_line;
GRANT INSERT, DELETE ON cpu_meter TO recoup_line;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO recoup_line;

INSERT INTO rollup_horizons (name, horizon, rolled_at) VALUES ('audits', '0', now()), ('overhead', '0', now());

-- As before, and late outcomes are where they are counted: an automation of their own in every column but the last.
CREATE OR REPLACE VIEW conservation WITH (security_invoker = true) AS
SELECT f.tenant_id, f.automation, f.hour,
       sum(f.received)::bigint AS received, sum(f.automated)::bigint AS automated, sum(f.human)::bigint AS human,
       sum(f.control)::bigint AS control, sum(f.duplicate)::bigint AS duplicate, sum(f.rejected)::bigint AS rejected,
       sum(f.pending)::bigint AS pending, sum(f.processing)::bigint AS processing, sum(f.review)::bigint AS review,
       sum(f.quarantined)::bigint AS quarantined, sum(f.poison)::bigint AS poison,
       sum(f.received - f.automated - f.human - f.control - f.duplicate - f.rejected
           - f.pending - f.processing - f.review - f.quarantined - f.poison - f.outcomes)::bigint AS difference,
       sum(f.outcomes)::bigint AS outcomes
FROM (
    SELECT tenant_id, automation, hour, received, duplicate, rejected, automated, human, control,
           0 AS pending, 0 AS processing, 0 AS review, 0 AS quarantined, 0 AS poison, 0 AS outcomes
    FROM conservation_hourly
    UNION ALL
    SELECT tenant_id, automation, hour, received, duplicate, rejected, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM intake_batches
    WHERE xid >= coalesce((SELECT horizon FROM rollup_horizons WHERE name = 'rollups'), '0'::xid8)
    UNION ALL
    SELECT tenant_id, automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0,
           (arm = 'automated' AND tier <> 'human')::int, (arm = 'automated' AND tier = 'human')::int, (arm = 'control')::int, 0, 0, 0, 0, 0, 0
    FROM decisions
    WHERE xid >= coalesce((SELECT horizon FROM rollup_horizons WHERE name = 'rollups'), '0'::xid8)
    UNION ALL
    SELECT tenant_id, automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0, 0, 0, 0,
           (state = 'pending')::int, (state = 'processing')::int, (state = 'review')::int, (state = 'quarantined')::int, 0, 0
    FROM cases
    WHERE state <> 'decided'
    UNION ALL
    -- A poison record is counted as received when it is stored, and stays a dead letter: to resolve it is only a note.
    SELECT tenant_id, automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0
    FROM poison_records
    WHERE tenant_id IS NOT NULL AND automation IS NOT NULL
    UNION ALL
    -- A late outcome opens no case: it waits for the one that it names, is applied to it, or ends as a dead letter.
    SELECT tenant_id, 'outcomes', date_trunc('hour', received_at, 'UTC'), 0, 0, 0, 0, 0, 0, (state = 'waiting')::int, 0, 0,
           (state = 'unmatched')::int, 0, (state = 'applied')::int
    FROM case_outcomes
) f
GROUP BY f.tenant_id, f.automation, f.hour;
