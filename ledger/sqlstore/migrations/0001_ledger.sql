-- +goose Up
-- How many leaves a city has. Appending checks and moves it, so that two processes cannot both add leaf n.
CREATE TABLE ledger_heads (
    city TEXT   NOT NULL PRIMARY KEY,
    size BIGINT NOT NULL
);

-- The tree: up to 256 hashes of 32 bytes each, tiles as in C2SP tlog-tiles. Rows only ever grow.
CREATE TABLE ledger_tiles (
    city   TEXT   NOT NULL,
    level  INTEGER NOT NULL,
    n      BIGINT NOT NULL,
    hashes BLOB   NOT NULL,
    PRIMARY KEY (city, level, n)
);

-- The erasable part of each leaf.
CREATE TABLE ledger_bodies (
    city TEXT   NOT NULL,
    idx  BIGINT NOT NULL,
    salt BLOB   NOT NULL,
    body TEXT   NOT NULL,
    PRIMARY KEY (city, idx)
) WITHOUT ROWID;
