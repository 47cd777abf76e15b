DROP TABLE experiment_hours;
