DROP TABLE arrival_days;
