package ani

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"callhall/call"
)

// Query looks for the calls of one number.
type Query struct {
	City   call.CityID
	Number Number  // the whole number (ParseNumber, Entered); zero where what was typed is none: a part, a pattern
	Actor  string  // who asks: "privacy:eve"
	Case   string  // what it is for; as Request.Case
	For    Purpose // dropped call, emergency, exigency, legal process or subject's rights: nothing else takes a search
}

// Search is Vault.Search for an officer: one search at a time in a city, and counted, so that nobody makes a list of numbers
// by asking for many. Errors: besides those, ErrTooMany.
func (o *Office) Search(ctx context.Context, q Query, by Person) (Found, error) {
	if _, err := o.room(ctx, q.City, countSearches, searchCaps, by); err != nil {
		return Found{}, err
	}
	defer o.locks.lock(registerSearches, q.City, "")()
	return o.vault.Search(ctx, q)
}

// registerSearches names the lock under which a city is searched. It has no entries: every search is a leaf.
const registerSearches Kind = "search"

// Found is the answer to a Query.
type Found struct {
	Release call.ReleaseID
	Ruling
	Calls []FoundCall // the newest first
	More  bool        // there are more: 500 are shown
	Words string      // as Grant.Words
}

// FoundCall is one call of the number.
type FoundCall struct {
	Call   call.ID
	At     time.Time         // when its number was captured
	Mask   Value             // of the number, the same for all
	Status call.CallerStatus // a withheld number is found, and shown no differently
}

// maxFound bounds an answer.
const maxFound = 500

// searchPage is how many rows are opened at a time.
const searchPage = 512

// searchFor are the purposes for which a city's officer may look for a number (D35).
var searchFor = []Purpose{PurposeDropped, PurposeEmergency, PurposeExigency, PurposeLegalProcess, PurposeSubjectRights}

// Search finds the calls of one number that the city still keeps (D35). It opens the city's rows one page after another
// and compares in memory: there is no token beside a row by which it could be looked up, because such tokens would tell
// whoever reads the database which calls are of one caller, and would have to live as long as the rows. It takes about a
// second for a million rows, and officers ask a few times a day.
//
// Whatever comes of it is one leaf, durable before the answer; it has the token of the number that was asked for. Without
// a case and a purpose, and for anything but a whole number, the answer is no (D36). A number that the law protects is
// answered, after the same work, as one that never called, or searching would tell who is protected; the leaf says LAW.
// Errors: ErrCase, and those of store and ledger.
func (v *Vault) Search(ctx context.Context, q Query) (Found, error) {
	d := v.decideQuery(ctx, q)
	found, err := v.lookThrough(ctx, q, &d)
	if lerr := v.record(ctx, d); lerr != nil {
		d.deny("")
		err = errors.Join(lerr, err)
	}
	if err != nil {
		return Found{Release: d.release, Ruling: d.ruling}, fmt.Errorf("search by number in %s: %w", q.City, err)
	}
	open := d.unprotected()
	found.Release, found.Ruling, found.Words = d.release, open.ruling, open.words()
	return found, nil
}

// unprotected is what the decision would be of a number that no law protects.
func (d decision) unprotected() decision {
	if d.tuple.Protected && d.stop == "" {
		t := d.tuple
		t.Protected = false
		d.ruling = Decide(t)
	}
	return d
}

// decideQuery decides whether the search may be made. It is of no one call.
func (v *Vault) decideQuery(ctx context.Context, q Query) decision {
	r := Request{City: q.City, Purpose: PurposeRecordQuery, Recipient: RecipientSupervisor, Actor: q.Actor, To: whoIs(q.Actor), Case: q.Case}
	if slices.Contains(searchFor, q.For) {
		r.reason = string(q.For)
	}
	if r.reason != "" && q.Case != "" {
		r.process = ProcessCase
	}
	h := held{Identity: Identity{Number: q.Number, Private: true, Status: call.CallerPresent, Verstat: call.VerstatNone, Source: SourceNone}}
	t := v.tuple(r, h)
	if q.Number.IsZero() { // a part of numbers: there are some
		r.Purpose, t.Purpose, t.Held = PurposeListQuery, PurposeListQuery, true
	}
	return v.decideTuple(ctx, r, h, t)
}

// lookThrough opens the city's rows, if it may. What goes wrong denies.
func (v *Vault) lookThrough(ctx context.Context, q Query, d *decision) (found Found, err error) {
	if err := d.err(); err != nil || d.unprotected().ruling.Decision != Mask {
		return Found{}, err
	}
	found.Calls, err = v.callsOf(ctx, q)
	if err != nil {
		d.deny(StopStore)
		return Found{}, err
	}
	if d.ruling.Decision != Mask {
		return Found{}, nil
	}
	slices.SortFunc(found.Calls, func(a, b FoundCall) int { return b.At.Compare(a.At) })
	if len(found.Calls) > maxFound {
		found.Calls, found.More = found.Calls[:maxFound], true
	}
	d.found = strconv.Itoa(len(found.Calls))
	return found, nil
}

// callsOf compares every row that the city still keeps.
func (v *Vault) callsOf(ctx context.Context, q Query) (calls []FoundCall, err error) {
	wanted, now := []byte(q.Number.open()), v.cfg.Now()
	defer clear(wanted)
	for after := call.ID(""); ; {
		rows, err := v.store.Rows(ctx, q.City, after, searchPage)
		if err != nil || len(rows) == 0 {
			return calls, err
		}
		for _, row := range rows {
			h, err := v.openStored(row)
			if err != nil {
				return nil, fmt.Errorf("row of %s: %w", row.Call, err)
			}
			if now.Before(row.DueAt) && subtle.ConstantTimeCompare([]byte(h.Number.open()), wanted) == 1 {
				calls = append(calls, FoundCall{Call: row.Call, At: row.CapturedAt, Mask: valueOf(h.Number, Mask), Status: row.Status})
			}
		}
		after = rows[len(rows)-1].Call
	}
}
