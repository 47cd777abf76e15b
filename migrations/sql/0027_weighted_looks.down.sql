ALTER TABLE score_sums DROP COLUMN weighted_drawn, DROP COLUMN weighted_audited;
ALTER TABLE audit_months DROP COLUMN weighted_drawn, DROP COLUMN weighted_done, DROP COLUMN weighted_disputed;
ALTER TABLE audit_days DROP COLUMN weighted_drawn, DROP COLUMN weighted_done, DROP COLUMN weighted_disputed;
ALTER TABLE audit_hours DROP COLUMN weighted_drawn, DROP COLUMN weighted_done, DROP COLUMN weighted_disputed;
