// Package ani guards callers' numbers: it reads them from a trunk's identity headers, keeps them sealed, and lets one
// out only through Release, for a purpose that the terms permit and after the ledger has it.
//
// The terms are a table of rows (terms.go), each with its citation; deciding is a pure function of that table and the
// request. Outside this package a number is either a Number, which shows nothing however it is printed or dumped, or a
// Value that Release gave out.
package ani

import "callhall/call"

// Headers are the identity headers of one INVITE, each value as it was received, one for each header field. They are the
// only thing of this package that holds a caller's number in the clear, because that is how it arrives: hand them to
// Capture, keep no copy, and Wipe them.
type Headers struct {
	discreet
	Asserted    []string // P-Asserted-Identity (RFC 3325 §9.1)
	From        []string // From (RFC 3261 §20.20), a single value in a valid request
	RemoteParty []string // Remote-Party-ID (draft-ietf-sip-privacy-04)
	Privacy     []string // Privacy (RFC 3323 §4.2)
	ChargeInfo  []string // P-Charge-Info (RFC 8496 §4)
	Diversion   []string // Diversion (RFC 5806 §3.1)
	HistoryInfo []string // History-Info (RFC 7044 §10.1)
	Identity    []string // Identity (RFC 8224 §4): signatures, whose tokens name the caller; not read here
	Date        string   // Date (RFC 3261 §20.17), which the compact form of a signature covers
	Verstat     string   // the carrier's verification result where it comes outside the URIs
}

// Wipe lets go of every value, in every copy of these headers: they share the memory that the values stand in. The text
// itself belongs to the message it came in.
func (h *Headers) Wipe() {
	for _, values := range [...][]string{h.Asserted, h.From, h.RemoteParty, h.Privacy, h.ChargeInfo, h.Diversion,
		h.HistoryInfo, h.Identity} {
		clear(values)
	}
	*h = Headers{}
}

// Identity is what the headers say of a caller. Whatever is personal in it is sealed.
type Identity struct {
	Number     Number // zero when there is none that may be trusted
	Name       Text   // display name, from where the number stands or else from From
	ISUB       Text   // subaddress or extension behind the number (RFC 3966 §5.2, §5.3)
	Charge     Number // who is billed (RFC 8496): never who calls
	Redirected []Redirect
	Status     call.CallerStatus // withheld may come with a Number: the network told us, the caller asked us not to tell
	Verstat    call.Verstat
	Attest     call.Attestation // the carrier's word, where it gives it with Verstat
	Source     Source
	Private    bool    // any restriction was asked for, or could not be ruled out
	Privacy    Privacy // the values that were asked for in so many words
	Category   Category
	Extra      int // values of P-Asserted-Identity beyond the two that may be, which were ignored
}

// Source names the header that a number was taken from.
type Source string

// The sources of a number, most trusted first.
const (
	SourceAsserted    Source = "p-asserted-identity"
	SourceRemoteParty Source = "remote-party-id" // from a trunk that may send it, screened by its network
	SourceFrom        Source = "from"            // only from a trusted trunk that asserted nothing
	SourceNone        Source = "none"
)
