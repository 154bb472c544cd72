package ledger

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
)

// Report is what Verify found.
type Report struct {
	City         call.CityID      `json:"city"`
	Log          LogID            `json:"log"`         // the newest one; what follows is said of it unless it says otherwise
	Leaves       int64            `json:"leaves"`      // that its checkpoint covers
	Erased       int64            `json:"erased"`      // leaves without a body, in all logs
	Unexplained  int64            `json:"unexplained"` // of those, how many no leaf of KindErased names
	Root         tlog.Hash        `json:"root"`
	Since        int64            `json:"since"`                 // leaves that the earlier checkpoint covered
	SinceLog     LogID            `json:"since_log,omitempty"`   // whose checkpoint that is
	SinceNewest  time.Time        `json:"since_newest,omitzero"` // when the last of those was made
	Newest       time.Time        `json:"newest,omitzero"`       // when the last leaf was made
	Anchored     bool             `json:"anchored"`              // held against Options.Since, which covers a leaf at least
	KeyKnown     bool             `json:"key_known"`             // Options.Key signed it, or leads to the key that did
	Rotations    int              `json:"rotations"`             // changes of key
	Kinds        map[string]int64 `json:"kinds"`                 // in all logs
	Decided      int64            `json:"decided"`               // leaves that Options.Check decided again, alike
	Undecided    int64            `json:"undecided"`             // leaves whose rules Options.Check does not know
	Predecessors []Predecessor    `json:"predecessors,omitempty"`
	Proof        *ProofReport     `json:"proof,omitempty"` // the file was a proof: nothing is known of other leaves
}

// Predecessor is a frozen log that the one after it succeeded.
type Predecessor struct {
	Log       LogID     `json:"log"`
	Leaves    int64     `json:"leaves"` // as it was found
	Root      tlog.Hash `json:"root"`
	Witnessed int64     `json:"witnessed"` // leaves that the witness's checkpoint covered
	Finding   string    `json:"finding"`
}

// What a frozen log turned out to be.
const (
	FoundTruncated  = "truncated"  // the witness has a checkpoint over more leaves than were found
	FoundRewritten  = "rewritten"  // the leaves that were found are not those that the witness's checkpoint covers
	FoundAgreeing   = "agrees"     // all that the witness's checkpoint covers is there: the damage was elsewhere
	FoundAlone      = "alone"      // the witness had no checkpoint that can be read: nothing to compare with
	FoundUnsigned   = "unsigned"   // the checkpoint that is said to be the witness's is not signed by the log's key
	FoundUnreadable = "unreadable" // too much was destroyed to export it
)

// Held tells whether what is in the file was held against an earlier checkpoint of the same log. If not, it is known to
// agree with itself and no more.
func (r Report) Held() bool { return r.Anchored && (r.Proof != nil || r.SinceLog == r.Log) }

// String says in a sentence or two how far the result reaches.
func (r Report) String() string {
	if r.Proof != nil {
		return r.proof()
	}
	var b strings.Builder
	if r.Held() {
		fmt.Fprintf(&b, "%d leaves of %s: verified, nothing changed or removed since the checkpoint over %d", r.Leaves, r.Log, r.Since)
	} else if r.Since == 0 && r.SinceLog == r.Log {
		fmt.Fprintf(&b, "%d leaves of %s: self-consistent only (the earlier checkpoint covers none: give one that does)", r.Leaves, r.Log)
	} else {
		fmt.Fprintf(&b, "%d leaves of %s: self-consistent only (give an earlier checkpoint to find rewriting)", r.Leaves, r.Log)
	}
	if r.Decided+r.Undecided > 0 {
		fmt.Fprintf(&b, "; %d decided again alike", r.Decided)
	}
	if r.Undecided > 0 {
		fmt.Fprintf(&b, ", %d under terms that this program does not know", r.Undecided)
	}
	for _, p := range r.Predecessors {
		b.WriteString("; ")
		b.WriteString(p.sentence())
		if r.Anchored && r.SinceLog == p.Log {
			fmt.Fprintf(&b, ", and its first %d are those that the earlier checkpoint covers", r.Since)
		}
	}
	return b.String()
}

// sentence says what is proven of a frozen log and what is not.
func (p Predecessor) sentence() string {
	const kept = "nothing in this file shows what the missing ones were"
	s := fmt.Sprintf("it succeeds %s, frozen and found with %d leaves", p.Log, p.Leaves)
	switch p.Finding {
	case FoundTruncated:
		return fmt.Sprintf("%s: truncated, the witness has a checkpoint over %d; %s", s, p.Witnessed, kept)
	case FoundRewritten:
		return fmt.Sprintf("%s: rewritten, they do not begin with the %d that the witness's checkpoint covers; %s", s, p.Witnessed, kept)
	case FoundAgreeing:
		return fmt.Sprintf("%s: the first %d are those that the witness's checkpoint covers; later ones are only as they were found", s, p.Witnessed)
	case FoundUnreadable:
		return fmt.Sprintf("%s: destroyed in part and not in this file; %s", s, kept)
	case FoundUnsigned:
		return s + ": the checkpoint said to be the witness's is not signed by its key"
	}
	return s + ": the witness had no checkpoint to compare with, so they are only as they were found"
}

// proof says what a file with a proof shows.
func (r Report) proof() string {
	signed := "signed by a key that came with the proof (give the city's key to trust it)"
	if r.KeyKnown {
		signed = "signed by the key given or one that it leads to"
	}
	what := fmt.Sprintf("leaf %d is among the %d leaves of %s", r.Proof.Index, r.Leaves, r.Log)
	if r.Proof.Kind == "consistency" {
		what = fmt.Sprintf("the %d leaves of %s are a continuation of the first %d", r.Leaves, r.Log, r.Proof.From)
	}
	held := "not held against an earlier checkpoint"
	if r.Anchored {
		held = fmt.Sprintf("held against the checkpoint over %d", r.Since)
	}
	return what + ", " + signed + ", " + held + "; this proof says nothing of other leaves"
}
