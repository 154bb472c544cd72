// Package call is the centre of Callhall: what a call is, the phases it goes through, and what it asks of the rest.
//
// A call is a caller's whole visit, from the carrier's INVITE to the one record that says how it ended. One goroutine
// owns it (Call.run); everything that happens to it, on whatever goroutine, reaches it as an Event in its Inbox. The
// interfaces in needs.go and leg.go are all that a call asks of the others; the packages around this one implement
// them and never import each other. This package imports the standard library only.
package call

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// ID names one call: "cl_" and 128 random bits in lower-case base32 (26 characters). It is made here, never taken from
// SIP, and says nothing of the caller, the time or the trunk, so that it may stand in logs, keys and URLs.
type ID string

// RecordingID names one recording: "rec_" and 128 random bits, as ID.
type RecordingID string

// ReleaseID names one decision about a caller's number: "rel_" and 128 random bits, as ID.
type ReleaseID string

// LegID names one leg within its call, for logs and timelines: "caller", "agent-1", "agent-2".
type LegID string

// CityID, QueueID, AgentID and TrunkID are names from the configuration. An agent and a queue belong to one city.
type (
	CityID  string
	QueueID string
	AgentID string
	TrunkID string
)

// NewID returns a fresh call id.
func NewID() ID { return ID("cl_" + random128()) }

// NewRecordingID returns a fresh recording id.
func NewRecordingID() RecordingID { return RecordingID("rec_" + random128()) }

// NewReleaseID returns a fresh release id.
func NewReleaseID() ReleaseID { return ReleaseID("rel_" + random128()) }

// idText is RFC 4648 base32 without padding: 128 bits are 26 characters.
var idText = base32.StdEncoding.WithPadding(base32.NoPadding)

// random128 returns 128 bits of the operating system's randomness as 26 lower-case letters and digits.
func random128() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process rather than return weak bytes
	return strings.ToLower(idText.EncodeToString(b[:]))
}

// ValidID tells whether s has the form of an id with that prefix ("cl", "rec" or "rel").
func ValidID(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	if !ok || len(rest) != 26 || rest != strings.ToLower(rest) {
		return false
	}
	_, err := idText.DecodeString(strings.ToUpper(rest))
	return err == nil
}
