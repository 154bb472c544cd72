-- +goose Up
-- Times are microseconds since 1970; 0 is none. hash is the SHA-256 of the secret: the secret is not kept.
CREATE TABLE console_tokens (
    id         TEXT   NOT NULL PRIMARY KEY,
    hash       BLOB   NOT NULL UNIQUE,
    city       TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    agent      TEXT   NOT NULL,
    scope      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX console_tokens_by_city ON console_tokens (city, created_at, id);
