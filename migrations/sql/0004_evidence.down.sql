DROP VIEW conservation;
DELETE FROM rollup_horizons WHERE name IN ('audits', 'overhead');
DROP TABLE cpu_meter, case_outcomes, brakes, brake_evidence, audit_hourly, audit_findings, audits;
DROP INDEX uq_ledger_lines_reverses;
ALTER TABLE rates DROP CONSTRAINT uq_rates_tenant_id_name_automation_valid_from_created_at;
ALTER TABLE rates ADD CONSTRAINT uq_rates_tenant_id_name_automation_valid_from UNIQUE (tenant_id, name, automation, valid_from);
ALTER TABLE endpoints DROP COLUMN events;
-- Messages without a case have no place in the older table.
ALTER TABLE outbox NO FORCE ROW LEVEL SECURITY;
DELETE FROM outbox WHERE case_id IS NULL;
ALTER TABLE outbox FORCE ROW LEVEL SECURITY;
ALTER TABLE outbox DROP COLUMN subject, ALTER COLUMN case_id SET NOT NULL;
ALTER TABLE automation_settings DROP COLUMN audit_share, DROP COLUMN audit_strata, DROP COLUMN error_limit;
ALTER TABLE decisions DROP COLUMN audit_probability;

CREATE VIEW conservation WITH (security_invoker = true) AS
SELECT f.tenant_id, f.automation, f.hour,
       sum(f.received)::bigint AS received, sum(f.automated)::bigint AS automated, sum(f.human)::bigint AS human,
       sum(f.control)::bigint AS control, sum(f.duplicate)::bigint AS duplicate, sum(f.rejected)::bigint AS rejected,
       sum(f.pending)::bigint AS pending, sum(f.processing)::bigint AS processing, sum(f.review)::bigint AS review,
       sum(f.quarantined)::bigint AS quarantined, sum(f.poison)::bigint AS poison,
       sum(f.received - f.automated - f.human - f.control - f.duplicate - f.rejected
           - f.pending - f.processing - f.review - f.quarantined - f.poison)::bigint AS difference
FROM (
    SELECT tenant_id, automation, hour, received, duplicate, rejected, automated, human, control,
           0 AS pending, 0 AS processing, 0 AS review, 0 AS quarantined, 0 AS poison
    FROM conservation_hourly
    UNION ALL
    SELECT tenant_id, automation, hour, received, duplicate, rejected, 0, 0, 0, 0, 0, 0, 0, 0
    FROM intake_batches
    WHERE xid >= coalesce((SELECT horizon FROM rollup_horizons WHERE name = 'rollups'), '0'::xid8)
    UNION ALL
    SELECT tenant_id, automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0,
           (arm = 'automated' AND tier <> 'human')::int, (arm = 'automated' AND tier = 'human')::int, (arm = 'control')::int, 0, 0, 0, 0, 0
    FROM decisions
    WHERE xid >= coalesce((SELECT horizon FROM rollup_horizons WHERE name = 'rollups'), '0'::xid8)
    UNION ALL
    SELECT tenant_id, automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0, 0, 0, 0,
           (state = 'pending')::int, (state = 'processing')::int, (state = 'review')::int, (state = 'quarantined')::int, 0
    FROM cases
    WHERE state <> 'decided'
    UNION ALL
    -- A poison record is counted as received when it is stored, and stays a dead letter: to resolve it is only a note.
    SELECT tenant_id, automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1
    FROM poison_records
    WHERE tenant_id IS NOT NULL AND automation IS NOT NULL
) f
GROUP BY f.tenant_id, f.automation, f.hour;
GRANT SELECT ON conservation TO recoup_api, recoup_line;
