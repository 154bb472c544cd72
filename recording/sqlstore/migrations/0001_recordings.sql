-- +goose Up
-- One row for each recording, for ever: when it is erased the row is its tombstone. Times are microseconds since 1970,
-- 0 where there is none. wrapped_key is hexadecimal, empty where there is none.
CREATE TABLE recordings (
	id               TEXT   NOT NULL PRIMARY KEY,
	city             TEXT   NOT NULL,
	call_id          TEXT   NOT NULL,
	node             TEXT   NOT NULL,
	state            BIGINT NOT NULL,
	started_at       BIGINT NOT NULL,
	ended_at         BIGINT NOT NULL,
	due_at           BIGINT NOT NULL,
	samples          BIGINT NOT NULL,
	size             BIGINT NOT NULL,
	wrapped_key      TEXT   NOT NULL,
	notice           TEXT   NOT NULL,
	why              TEXT   NOT NULL,
	key_destroyed_at BIGINT NOT NULL,
	erased_at        BIGINT NOT NULL,
	certificate      TEXT   NOT NULL
);
CREATE INDEX recordings_keys_due ON recordings (due_at) WHERE state IN (2, 3) AND key_destroyed_at = 0;
CREATE INDEX recordings_bytes_due ON recordings (due_at) WHERE state IN (2, 3) AND key_destroyed_at <> 0;
CREATE INDEX recordings_unfinished ON recordings (node) WHERE state IN (1, 2);
