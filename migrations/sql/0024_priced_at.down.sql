ALTER TABLE automation_settings DROP COLUMN priced_at;
