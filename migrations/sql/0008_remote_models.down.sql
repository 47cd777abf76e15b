DROP TABLE remote_spend;
DROP TABLE remote_calls;
