// Package recording keeps what was said in a call for exactly fourteen days and proves that it is gone afterwards.
//
// The way of a recording: two taps hear the packets of the caller and of the agent (tap.go) and put each frame at its
// place in time (timeline.go). Every quarter of a second one flusher seals what has come in, for all recordings, into
// the node's spool with one write and one sync (flush.go, spool.go), so a killed process loses less than a second and
// nothing lies on the disk in the clear. At hang-up the key is wrapped for the minute in which the recording falls due
// and the catalogue learns of it (finish.go); the chunks are gathered (gather.go) into one object (object.go, FORMAT.md),
// which goes to the object store (upload.go). When it falls due the key is destroyed, then the bytes, and the ledger
// gets a certificate (erase.go).
//
// No name, object or leaf written here holds a digit of a caller's number, an agent, a queue or a topic.
package recording

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"callhall/call"
)

// Rate is how many samples a second of one side has: G.711 at 8 kHz, one byte each (RFC 3551 §4.5.14).
const Rate = 8000

// Retention is how long a recording is kept after its last kept frame: fourteen days of 24 hours, to the second.
const Retention = 1_209_600 * time.Second

// The two sides of a recording, which are the left and the right channel.
const (
	left  = 0 // the caller
	right = 1 // the agent
)

// Errors of this package.
var (
	ErrNotFound   = errors.New("no such recording")
	ErrErased     = errors.New("the recording is past its time and erased")
	ErrDamaged    = errors.New("the recording is damaged")
	ErrInProgress = errors.New("the recording is still going on")
	ErrNoSpace    = errors.New("the disk of the spool is too full to record")
	ErrClosed     = errors.New("the recording has been closed")
)

// Ledger takes the leaves of what is done with recordings.
type Ledger interface {
	// Append returns when the leaf is durable.
	Append(ctx context.Context, city call.CityID, leaf call.Leaf) error
}

// rawID is a recording's id as 128 bits, as headers and associated data hold it.
type rawID [16]byte

var idText = base32.StdEncoding.WithPadding(base32.NoPadding)

// parseID reads id. Errors: when it is not of the form that call.NewRecordingID makes.
func parseID(id call.RecordingID) (raw rawID, err error) {
	if !call.ValidID("rec", string(id)) {
		return raw, fmt.Errorf("recording id: not of the form rec_…: %w", ErrNotFound)
	}
	_, err = idText.Decode(raw[:], []byte(strings.ToUpper(string(id)[len("rec_"):])))
	return raw, err
}

// ID is the inverse of parseID.
func (r rawID) ID() call.RecordingID {
	return call.RecordingID("rec_" + strings.ToLower(idText.EncodeToString(r[:])))
}

// ObjectName is where the object store keeps a recording: "rec/" and two characters of the id that spread the names,
// then the id. It says nothing of the call.
func ObjectName(id call.RecordingID) string {
	return "rec/" + string(id)[len("rec_"):][:2] + "/" + string(id)
}

// IDOfObject is the inverse of ObjectName; ok is false for a name that no recording has.
func IDOfObject(name string) (id call.RecordingID, ok bool) {
	id = call.RecordingID(name[strings.LastIndexByte(name, '/')+1:])
	if !call.ValidID("rec", string(id)) || ObjectName(id) != name {
		return "", false
	}
	return id, true
}

// samples turns a time since the start into samples; length is the inverse.
func samples(d time.Duration) int64 { return int64(d / (time.Second / Rate)) }

func length(n int64) time.Duration { return time.Duration(n) * (time.Second / Rate) }
