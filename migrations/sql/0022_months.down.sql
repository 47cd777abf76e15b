DROP TABLE experiment_months, audit_months;
