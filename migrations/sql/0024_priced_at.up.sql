-- A fixed cost holds from when it was set; whatever else is set later does not move that.
ALTER TABLE automation_settings ADD COLUMN priced_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE automation_settings NO FORCE ROW LEVEL SECURITY;
UPDATE automation_settings SET priced_at = updated_at;
ALTER TABLE automation_settings FORCE ROW LEVEL SECURITY;
