-- +goose Up
-- Leaves that must be found again among all the others when a log is opened: those about its keys. The column city of
-- every table here holds the name of a log, which for a city's first one is the city.
CREATE TABLE ledger_marks (
    city TEXT   NOT NULL,
    idx  BIGINT NOT NULL,
    PRIMARY KEY (city, idx)
) WITHOUT ROWID;
