// Package ani guards callers' numbers: it reads them from a trunk's identity headers, keeps them sealed, and lets one
// out only through Release, for a purpose that the terms permit and after the ledger has it.
//
// The terms are a table of rows (terms.go), each with its citation; deciding is a pure function of that table and the
// request. Outside this package a number is either a Number, which shows nothing however it is printed or dumped, or a
// Value that Release gave out.
package ani

import (
	"fmt"
	"io"
	"log/slog"

	"callhall/call"
)

// Headers are the identity headers of one INVITE, each value as it was received. They hold the caller's number in the
// clear: hand them to Capture and keep no copy.
type Headers struct {
	Asserted  []string // P-Asserted-Identity (RFC 3325 §9.1)
	Preferred []string // P-Preferred-Identity (RFC 3325 §9.2): a caller's wish, never used as identity
	From      []string // From (RFC 3261 §20.20), a single value in a valid request
	Privacy   []string // Privacy (RFC 3323 §4.2)
	Verstat   string   // the carrier's verification result where it comes outside the URIs
}

// Format prints nothing of the headers.
func (Headers) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// LogValue logs nothing of the headers.
func (Headers) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes nothing of the headers.
func (Headers) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Identity is what the headers say of a caller.
type Identity struct {
	Number  Number            // zero when there is none that may be trusted
	Status  call.CallerStatus // withheld may come with a Number: the network told us, the caller asked us not to tell
	Verstat call.Verstat
	Source  Source
	Private bool // any restriction was asked for, or could not be ruled out
}

// Source names the header that a number was taken from.
type Source string

// The sources of a number, most trusted first.
const (
	SourceAsserted Source = "p-asserted-identity"
	SourceFrom     Source = "from" // only from a trusted trunk that asserted nothing
	SourceNone     Source = "none"
)

// Caller is all that leaves Capture: what a call and its record may know.
type Caller struct {
	Call    call.ID
	Status  call.CallerStatus
	Verstat call.Verstat
}
