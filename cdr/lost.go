package cdr

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callhall/call"
)

// lostDetail is what a timeline says of a call whose node died, in plain words.
const lostDetail = "the node that carried the call was lost"

// CloseLost makes records out of the entries that earlier runs of node left open, with call.EndNodeLost. It first
// brings in what waits in the queue, for a call whose record waits there is not lost.
//
// endedAt says when the call was last known to be alive; the zero time where that is not known. recording looks up what
// was kept of its sound; where it fails, the record says so. Either may be nil. CloseLost returns the records it wrote,
// also beside an error, which then names every entry that stays open.
func (s *Service) CloseLost(ctx context.Context, node string, endedAt func(call.Record) time.Time,
	recording func(context.Context, call.Record) (call.RecordingSummary, error)) ([]call.Record, error) {
	if err := s.Replay(ctx); err != nil {
		return nil, fmt.Errorf("cdr: close what node %s left: %w", node, err)
	}
	entries, err := s.store.Opens(ctx, node, s.run)
	if err != nil {
		return nil, fmt.Errorf("cdr: list what node %s left: %w", node, err)
	}
	var closed []call.Record
	var faults []error
	for _, e := range entries {
		r, err := s.closeLost(ctx, e, endedAt, recording)
		if err != nil {
			faults = append(faults, fmt.Errorf("cdr: close lost call %s: %w", e.ID, err))
			continue
		}
		closed = append(closed, r)
	}
	return closed, errors.Join(faults...)
}

// closeLost makes one record out of one entry.
func (s *Service) closeLost(ctx context.Context, e OpenEntry, endedAt func(call.Record) time.Time,
	recording func(context.Context, call.Record) (call.RecordingSummary, error)) (call.Record, error) {
	r, err := s.unseal(e)
	if err != nil {
		return call.Record{}, err
	}
	if recording != nil {
		r.Recording = lookUp(ctx, r, recording)
	}
	var alive time.Time
	if endedAt != nil {
		alive = endedAt(r)
	}
	r = lost(r, alive)
	if err := s.store.Put(ctx, normal(r)); err != nil {
		return call.Record{}, err
	}
	s.figures.count(r)
	return normal(r), nil
}

// lookUp asks what was kept of a lost call's sound.
func lookUp(ctx context.Context, r call.Record,
	recording func(context.Context, call.Record) (call.RecordingSummary, error)) call.RecordingSummary {
	summary, err := recording(ctx, r)
	if err != nil {
		return call.RecordingSummary{ID: r.Recording.ID, State: call.RecordingFailed, Notice: r.Recording.Notice,
			Why: "not found after the node was lost: " + err.Error()}
	}
	return summary
}

// lost is r as the record of a call whose node died after alive, with all that can be told of its times.
func lost(r call.Record, alive time.Time) call.Record {
	r = normal(r)
	if kept := r.Recording; r.ConnectedAt.IsZero() && kept.State == call.RecordingKept && kept.Length > 0 {
		r.ConnectedAt = kept.EndedAt.Add(-kept.Length) // sound is kept from the moment an agent has joined
	}
	r.EndedAt = lastSeen(r, alive)
	r.End, r.EndedBy, r.Q850 = call.EndNodeLost, "", call.CauseUnavailable.Q850()
	r.Waiting, r.Talking = r.EndedAt.Sub(r.ArrivedAt), 0
	if !r.ConnectedAt.IsZero() {
		r.Waiting, r.Talking = r.ConnectedAt.Sub(r.ArrivedAt), r.EndedAt.Sub(r.ConnectedAt)
	}
	if !r.TransferredAt.IsZero() { // the rest was with a partner
		r.Talking = r.TransferredAt.Sub(r.ConnectedAt)
	}
	r.Timeline = append(r.Timeline, call.Moment{At: r.EndedAt, What: call.WhatEnded, Detail: lostDetail})
	return normal(r)
}

// lastSeen is the latest moment at which anything shows the call alive.
func lastSeen(r call.Record, alive time.Time) time.Time {
	seen := []time.Time{r.AnsweredAt, r.ConnectedAt, r.Recording.EndedAt, alive}
	for _, m := range r.Timeline {
		seen = append(seen, m.At)
	}
	last := r.ArrivedAt
	for _, at := range seen {
		if at.After(last) {
			last = at
		}
	}
	return last
}
