package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"callhall/call"
)

// recordsShow is callhall records show.
type recordsShow struct {
	access
	Call string `arg:"" name:"call" help:"The call: cl_…"`
}

// Run tells the call.
func (c recordsShow) Run(ctx context.Context, term *terminal) error {
	if !call.ValidID("cl", c.Call) {
		return badUsage{fmt.Errorf("%q is not a call's id; records list shows them", c.Call)}
	}
	server, err := c.dial(term, recordsRole)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := server.getJSON(ctx, "calls/"+c.Call, nil, &raw); err != nil {
		return err
	}
	if term.JSON {
		return writeRaw(term.Out, raw)
	}
	var r call.Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("read record %s: %w", c.Call, err)
	}
	_, err = io.WriteString(term.Out, story(r))
	return err
}

// story is a record in words.
func story(r call.Record) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("call", "%s", plain(r.ID))
	line("dialled", "%s of %s over trunk %s, %s", plain(r.Entry), plain(r.City), plain(r.Trunk), local(r.ArrivedAt))
	line("caller", "number %s, verification %s", plain(r.Caller), plain(r.Verstat))
	line("queue", "%s (%s), waited %s, %s", plain(r.Queue), plain(r.Language), seconds(r.Waiting), count(r.Offers, "offer", "offers"))
	line("agent", "%s, talked %s, of that on hold %s", orDash(plain(r.Agent)), seconds(r.Talking), seconds(r.Holding))
	line("end", "%s%s (Q.850 cause %d)", plain(r.End), by(r.EndedBy), r.Q850)
	line("recording", "%s", recordingStory(r.Recording))
	for _, leg := range sortedLegs(r.Quality) {
		line("sound", "%s: %s", plain(leg), qualityStory(r.Quality[leg]))
	}
	for _, m := range r.Timeline {
		line("", "%8s  %s", "+"+m.At.Sub(r.ArrivedAt).Round(100*time.Millisecond).String(), momentStory(m))
	}
	return b.String()
}

// by names the leg that ended a call.
func by(leg call.LegID) string {
	if leg == "" {
		return ""
	}
	return " by " + plain(leg)
}

// recordingStory says what became of a recording.
func recordingStory(r call.RecordingSummary) string {
	switch r.State {
	case call.RecordingKept:
		return fmt.Sprintf("%s, %s long, kept until %s", plain(r.ID), seconds(r.Length), local(r.DueAt))
	case call.RecordingFailed:
		return "failed: " + plain(r.Why)
	default:
		return "none"
	}
}

// qualityStory says what a leg sounded like.
func qualityStory(q call.Quality) string {
	text := fmt.Sprintf("%s, %d packets in, %d out, %d lost, jitter %s", orDash(plain(q.Codec)), q.Received, q.Sent, q.Lost,
		q.Jitter.Round(100*time.Microsecond))
	if q.MOS > 0 {
		text += fmt.Sprintf(", MOS about %.1f", q.MOS)
	}
	return text
}

// sortedLegs lists the legs of a record in order of name, the caller first.
func sortedLegs(quality map[call.LegID]call.Quality) []call.LegID {
	var legs []call.LegID
	for leg := range quality {
		legs = append(legs, leg)
	}
	slices.SortFunc(legs, func(a, b call.LegID) int {
		if (a == "caller") != (b == "caller") {
			return map[bool]int{true: -1, false: 1}[a == "caller"]
		}
		return strings.Compare(string(a), string(b))
	})
	return legs
}

// moments says each kind of moment in plain words.
var moments = map[call.What]string{
	call.WhatArrived:   "the call arrived",
	call.WhatAnswered:  "we answered",
	call.WhatNotice:    "the caller had heard that calls are recorded",
	call.WhatQueued:    "the caller waited in line",
	call.WhatOffered:   "an agent's phone rang",
	call.WhatOfferOver: "the ringing ended",
	call.WhatJoined:    "caller and agent could speak",
	call.WhatRecording: "recording began",
	call.WhatHeld:      "put on hold",
	call.WhatResumed:   "taken back from hold",
	call.WhatKey:       "a key was pressed",
	call.WhatPutBack:   "the caller was put back at the same place in line",
	call.WhatEnded:     "the call ended",
}

// momentStory is one line of a timeline.
func momentStory(m call.Moment) string {
	text := moments[m.What]
	if text == "" {
		text = plain(m.What)
	}
	var more []string
	for _, part := range []string{plain(m.Leg), plain(m.Agent), plain(m.Detail)} {
		if part != "" {
			more = append(more, part)
		}
	}
	if len(more) > 0 {
		text += ": " + strings.Join(more, ", ")
	}
	return text
}
