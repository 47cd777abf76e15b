ALTER TABLE reviews DROP CONSTRAINT ck_reviews_known_kind;
ALTER TABLE reviews ADD CONSTRAINT ck_reviews_known_kind CHECK (kind IN ('control','exception','audit','rework'));

-- As in 0002: one tenant each for the APIs, append-only for everybody.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['corrections', 'baseline_evidence'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own_tenant ON %I TO recoup_api USING (tenant_id = current_setting(''app.tenant'', true))'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO recoup_line USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO recoup_api, recoup_line', t);
        EXECUTE format('CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', t);
        EXECUTE format('CREATE TRIGGER append_only_table BEFORE UPDATE OR DELETE OR TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', t);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_rows', t);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_table', t);
    END LOOP;
END $$;

-- Both clocks of the reviews that were submitted in `since <= t < until`, as far as whoever asks may see them. Seconds on the wall, also of
-- simulated tenants. `apart`: reviews whose clocks differ by more than the idle cut.
CREATE FUNCTION review_clocks(since timestamptz, until timestamptz)
RETURNS TABLE (tenant_id text, automation text, kind text, reviews bigint, apart bigint, active_seconds numeric, span_seconds numeric,
               difference_seconds numeric, beyond_span_seconds numeric)
LANGUAGE sql STABLE AS $$
    SELECT r.tenant_id, r.automation, r.kind, count(*), count(*) FILTER (WHERE abs(r.span_seconds - r.active_seconds) > 60),
           sum(r.active_seconds), sum(r.span_seconds), sum(abs(r.span_seconds - r.active_seconds)),
           sum(greatest(0, r.active_seconds - r.span_seconds))
    FROM reviews r WHERE r.state = 'submitted' AND r.submitted_at >= since AND r.submitted_at < until
    GROUP BY r.tenant_id, r.automation, r.kind
$$;
