DROP TABLE model_pairs;
DROP TABLE model_rollouts;
DROP TABLE model_versions;
