DELETE FROM rollup_horizons WHERE name = 'evidence';
DROP TABLE score_sums, experiment_days;
ALTER TABLE intake_batches DROP COLUMN control, DROP COLUMN automated, DROP COLUMN share;
