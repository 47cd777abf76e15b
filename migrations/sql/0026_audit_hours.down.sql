DROP TABLE audit_hours;
