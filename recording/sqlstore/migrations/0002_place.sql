-- +goose Up
-- Which store has the object, once stored; empty for those that were stored before this was noted.
ALTER TABLE recordings ADD COLUMN place TEXT NOT NULL DEFAULT '';
CREATE INDEX recordings_places ON recordings (city, place) WHERE state = 3;
