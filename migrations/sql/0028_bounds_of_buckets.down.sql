ALTER TABLE case_buckets NO FORCE ROW LEVEL SECURITY;
DELETE FROM case_buckets WHERE grain = 'month';
ALTER TABLE case_buckets FORCE ROW LEVEL SECURITY;
ALTER TABLE case_buckets DROP COLUMN gain, DROP COLUMN gain_variance;
