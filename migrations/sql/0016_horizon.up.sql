-- Up to where facts are summed up. A function that is stable and of constants alone is evaluated while a statement is planned, so that the
-- planner knows how few facts lie beyond it and reads them by their index; of a subquery it expects a third of the table.
CREATE FUNCTION rollup_horizon(wanted text) RETURNS xid8 LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN coalesce((SELECT horizon FROM rollup_horizons WHERE name = wanted), '0');
END $$;
REVOKE ALL ON FUNCTION rollup_horizon(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rollup_horizon(text) TO recoup_api, recoup_line;

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
    WHERE xid >= rollup_horizon('rollups')
    UNION ALL
    SELECT tenant_id, automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0,
           (arm = 'automated' AND tier <> 'human')::int, (arm = 'automated' AND tier = 'human')::int, (arm = 'control')::int, 0, 0, 0, 0, 0, 0
    FROM decisions
    WHERE xid >= rollup_horizon('rollups')
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
