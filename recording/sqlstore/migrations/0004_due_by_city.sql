-- +goose Up
-- Which cities and places have something due, and what one of them has, each found without reading the others' rows.
DROP INDEX recordings_keys_due;
DROP INDEX recordings_bytes_due;
CREATE INDEX recordings_due ON recordings (due_at, city, place) WHERE state IN (2, 3);
CREATE INDEX recordings_keys_due ON recordings (city, due_at) WHERE state IN (2, 3) AND key_destroyed_at = 0;
CREATE INDEX recordings_bytes_due ON recordings (city, place, due_at) WHERE state IN (2, 3) AND key_destroyed_at <> 0;
