ALTER TABLE audit_days RENAME TO audit_hourly;
ALTER TABLE audit_hourly RENAME COLUMN day TO hour;
ALTER TABLE audit_hourly RENAME CONSTRAINT pk_audit_days TO pk_audit_hourly;
