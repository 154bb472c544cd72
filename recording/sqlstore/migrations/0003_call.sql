-- +goose Up
CREATE INDEX recordings_call ON recordings (call_id);
