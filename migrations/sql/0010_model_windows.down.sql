DROP TABLE model_windows;
