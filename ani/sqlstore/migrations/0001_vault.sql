-- +goose Up
-- Callers' numbers, sealed under the key of their city. Times are nanoseconds since 1970, UTC.
CREATE TABLE ani_vault (
    city        TEXT     NOT NULL,
    call        TEXT     NOT NULL,
    sealed      BLOB     NOT NULL,
    private     SMALLINT NOT NULL,
    status      TEXT     NOT NULL,
    verstat     TEXT     NOT NULL,
    source      TEXT     NOT NULL,
    captured_at BIGINT   NOT NULL,
    due_at      BIGINT   NOT NULL,
    PRIMARY KEY (city, call)
) WITHOUT ROWID;
CREATE INDEX ani_vault_due ON ani_vault (city, due_at);
