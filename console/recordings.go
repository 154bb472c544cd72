package console

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// reasonHeader may name the reason for listening where a query may not, as in a player's links.
const reasonHeader = "Callhall-Reason"

// PlayReasons lists what a recording may be listened to for. The reason goes into the ledger; free text could hold a
// caller's number, so there is none.
func PlayReasons() []string {
	return []string{"quality-review", "training", "complaint", "follow-up", "safety", "legal", "records-request", "privacy-audit", "technical"}
}

// recordingAnswer is the state of one recording.
type recordingAnswer struct{ Body Recording }

// recordingRoutes puts the routes of recordings into the API.
func (c *Console) recordingRoutes(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/recordings/{id}", "Where a recording is in its life"), c.getRecording)
	play := operation(http.MethodGet, "/recordings/{id}/media", "Listen to a recording")
	play.Description = "A WAV file, the caller on the left and the agent on the right. Each request is a leaf of the city's ledger. " +
		"A reason is needed, in the query or in the header " + reasonHeader + ": " + strings.Join(PlayReasons(), ", ") + "."
	huma.Register(api, answering(play, "The sound, or with Range a part of it (206)", "audio/wav"), c.playRecording)
}

func (c *Console) getRecording(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"64"`
}) (*recordingAnswer, error) {
	rec, err := c.deps.Recordings.Recording(ctx, visitOf(ctx).token.City, call.RecordingID(in.ID))
	if err != nil {
		return nil, c.fail(ctx, "read a recording's state", err)
	}
	return &recordingAnswer{Body: rec}, nil
}

func (c *Console) playRecording(ctx context.Context, in *struct {
	ID     string `path:"id" maxLength:"64"`
	Reason string `query:"reason" maxLength:"32"`
	Header string `header:"Callhall-Reason" maxLength:"32"`
	Range  string `header:"Range" maxLength:"256" doc:"Bytes, as RFC 9110 §14.2."`
}) (*huma.StreamResponse, error) {
	reason, err := playReason(ctx, in.Reason, in.Header)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		c.play(w, r, call.RecordingID(in.ID), reason)
	}}, nil
}

// playReason is the one reason that was given.
func playReason(ctx context.Context, query, header string) (string, error) {
	reason := query
	if reason == "" {
		reason = header
	}
	if !slices.Contains(PlayReasons(), reason) || header != "" && header != reason {
		return "", invalid(ctx, "query.reason", "must be one of "+strings.Join(PlayReasons(), ", "))
	}
	return reason, nil
}

// play serves a recording, whole or in parts. The ledger has the listener before the first byte leaves.
func (c *Console) play(w http.ResponseWriter, r *http.Request, id call.RecordingID, reason string) {
	t := visitOf(r.Context()).token
	sound, err := c.deps.Recordings.Play(r.Context(), t.City, id, Listener{Actor: t.Actor(), Role: t.Role, Reason: reason})
	if err != nil {
		c.failStream(w, r, "play a recording", err)
		return
	}
	defer sound.Close() // read only: nothing can be lost
	w.Header().Set("Content-Type", "audio/wav")
	w.Header().Set("Content-Disposition", `inline; filename="`+string(id)+`.wav"`)
	w.Header().Set("ETag", `"`+string(id)+`"`) // a sealed recording never changes, so a player may ask for the rest of it
	http.ServeContent(&rangeAnswer{ResponseWriter: w, r: r}, r, "", time.Time{}, sound)
}

// rangeAnswer answers with a problem where http.ServeContent would send a bare line: to a range that the recording does
// not have (RFC 9110 §15.5.17).
type rangeAnswer struct {
	http.ResponseWriter
	r       *http.Request
	refused bool
}

func (a *rangeAnswer) WriteHeader(status int) {
	if status != http.StatusRequestedRangeNotSatisfiable {
		a.ResponseWriter.WriteHeader(status)
		return
	}
	a.refused = true
	a.Header().Del("Content-Disposition")
	writeProblem(a.ResponseWriter, a.r, status)
}

func (a *rangeAnswer) Write(b []byte) (int, error) {
	if a.refused {
		return len(b), nil // the bare line
	}
	return a.ResponseWriter.Write(b)
}
