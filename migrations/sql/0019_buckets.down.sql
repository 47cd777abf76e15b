DROP TABLE money_buckets, case_buckets;
