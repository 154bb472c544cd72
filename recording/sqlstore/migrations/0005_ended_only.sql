-- +goose Up
-- Recordings that go on are known to their node's memory and spool: they are entered when they are sealed.
DELETE FROM recordings WHERE state = 1;
DROP INDEX recordings_unfinished;
CREATE INDEX recordings_unfinished ON recordings (node) WHERE state = 2;
