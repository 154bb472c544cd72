-- +goose Up
-- Without figures SQLite takes a range of time to be narrower than one queue or one agent, and reads every call of a day
-- to find ten. These are a middling city's: rows, then rows for each value of one, two, three and four columns.
ANALYZE;
DELETE FROM sqlite_stat1 WHERE tbl = 'cdr_records';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('cdr_records', 'sqlite_autoindex_cdr_records_1', '1000000 1000000 1'),
    ('cdr_records', 'cdr_records_by_time',  '1000000 1000000 1 1'),
    ('cdr_records', 'cdr_records_by_queue', '1000000 1000000 100000 1 1'),
    ('cdr_records', 'cdr_records_by_agent', '1000000 1000000 5000 1 1'),
    ('cdr_records', 'cdr_records_by_end',   '1000000 1000000 200000 1 1');
