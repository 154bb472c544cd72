-- +goose Up
-- Registers: consents, legal processes, requests, screening lists, keys of tokens. What an entry says is sealed.
CREATE TABLE ani_registers (
    city    TEXT   NOT NULL,
    kind    TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    version BIGINT NOT NULL,
    call    TEXT   NOT NULL,
    token   BLOB,
    state   TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    due_at  BIGINT NOT NULL,
    sealed  BLOB   NOT NULL,
    PRIMARY KEY (city, kind, id)
) WITHOUT ROWID;
CREATE INDEX ani_registers_at ON ani_registers (city, kind, at, id);
CREATE INDEX ani_registers_call ON ani_registers (city, kind, call, at) WHERE call <> '';
CREATE INDEX ani_registers_token ON ani_registers (city, kind, token, at) WHERE token IS NOT NULL;
CREATE INDEX ani_registers_due ON ani_registers (city, due_at);
