DROP VIEW conservation;

-- The tables themselves, and with them their policies' rows, go in 0001; here goes what 0002 added around them.
DO $$
DECLARE
    p record;
BEGIN
    FOR p IN SELECT inhrelid::regclass AS partition FROM pg_inherits WHERE inhparent = 'payloads'::regclass LOOP
        EXECUTE format('DROP TABLE %s', p.partition);
    END LOOP;
    FOR p IN SELECT policyname, tablename FROM pg_policies WHERE schemaname = 'public' LOOP
        EXECUTE format('DROP POLICY %I ON %I', p.policyname, p.tablename);
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', p.tablename);
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', p.tablename);
    END LOOP;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM recoup_api, recoup_line;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM recoup_api, recoup_line;
DROP FUNCTION ensure_payload_partitions(integer);
DROP FUNCTION find_source(uuid);
DROP FUNCTION find_api_key(text);
DROP FUNCTION refuse_change() CASCADE;
