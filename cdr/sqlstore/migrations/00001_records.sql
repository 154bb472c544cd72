-- +goose Up
-- Times are microseconds since 1970, lengths microseconds. The columns are what a search may ask for; the whole record is
-- in record. None holds a caller's number.
CREATE TABLE cdr_records (
    city       TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    arrived_at BIGINT NOT NULL,
    queue      TEXT   NOT NULL,
    agent      TEXT   NOT NULL,
    ended_as   TEXT   NOT NULL,
    recording  TEXT   NOT NULL,
    waiting    BIGINT NOT NULL,
    talking    BIGINT NOT NULL,
    record     TEXT   NOT NULL,
    PRIMARY KEY (city, id)
);
CREATE INDEX cdr_records_by_time  ON cdr_records (city, arrived_at, id);
CREATE INDEX cdr_records_by_queue ON cdr_records (city, queue, arrived_at, id);
CREATE INDEX cdr_records_by_agent ON cdr_records (city, agent, arrived_at, id);
CREATE INDEX cdr_records_by_end   ON cdr_records (city, ended_as, arrived_at, id);

CREATE TABLE cdr_open (
    city      TEXT   NOT NULL,
    id        TEXT   NOT NULL,
    node      TEXT   NOT NULL,
    run       TEXT   NOT NULL,
    opened_at BIGINT NOT NULL,
    sealed    BLOB   NOT NULL,
    PRIMARY KEY (city, id)
);
CREATE INDEX cdr_open_by_node ON cdr_open (node, opened_at);
