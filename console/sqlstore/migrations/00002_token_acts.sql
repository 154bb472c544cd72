-- +goose Up
-- What was done with tokens, in order, until the city's ledger has it and after. place is where in the ledger to look for
-- the act before it is written again, empty before the first try; ledgered is 1 once it is there.
CREATE TABLE console_token_acts (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT    NOT NULL UNIQUE,
    city     TEXT    NOT NULL,
    act      TEXT    NOT NULL,
    token    TEXT    NOT NULL,
    at       BIGINT  NOT NULL,
    place    TEXT    NOT NULL DEFAULT '',
    ledgered INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX console_token_acts_waiting ON console_token_acts (city, seq) WHERE ledgered = 0;
CREATE INDEX console_token_acts_by_token ON console_token_acts (token);
-- Tokens from before there was a journal: the ledger has none of them.
INSERT INTO console_token_acts (id, city, act, token, at)
    SELECT 'tka_' || substr(id, 5), city, 'grant', id, created_at FROM console_tokens ORDER BY created_at, id;
INSERT INTO console_token_acts (id, city, act, token, at)
    SELECT 'tkr_' || substr(id, 5), city, 'revoke', id, revoked_at FROM console_tokens WHERE revoked_at <> 0 ORDER BY revoked_at, id;
