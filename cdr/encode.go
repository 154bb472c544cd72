package cdr

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"callhall/call"
)

// Encode is the one form in which a record is stored and compared: JSON, every time in UTC. It leaves r as it is.
func Encode(r call.Record) ([]byte, error) {
	data, err := json.Marshal(normal(r))
	if err != nil {
		return nil, fmt.Errorf("encode record %s: %w", r.ID, err)
	}
	return data, nil
}

// Decode is the reverse of Encode.
func Decode(data []byte) (call.Record, error) {
	var r call.Record
	if err := json.Unmarshal(data, &r); err != nil {
		return call.Record{}, fmt.Errorf("decode a record: %w", err)
	}
	return r, nil
}

// normal returns r with every time in UTC, without its monotonic reading, and every figure a JSON number. It copies
// what it changes.
func normal(r call.Record) call.Record {
	for _, at := range []*time.Time{&r.ArrivedAt, &r.AnsweredAt, &r.ConnectedAt, &r.EndedAt, &r.TransferredAt,
		&r.Recording.EndedAt, &r.Recording.DueAt, &r.Recording.Notice.HeardAt} {
		*at = utc(*at)
	}
	r.Timeline = slices.Clone(r.Timeline)
	for i := range r.Timeline {
		r.Timeline[i].At = utc(r.Timeline[i].At)
	}
	r.Quality = maps.Clone(r.Quality)
	for leg, q := range r.Quality {
		if math.IsNaN(q.MOS) || math.IsInf(q.MOS, 0) {
			q.MOS = 0 // unknown; JSON has no such numbers, and a record must not be lost for one
			r.Quality[leg] = q
		}
	}
	return r
}

// utc drops the zone and the monotonic reading, which do not survive storage.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Round(0)
}
