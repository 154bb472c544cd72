package ani

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"callhall/call"
)

// anyTuple draws words that are listed and, now and then, words that are not.
func anyTuple(t *rapid.T) Tuple {
	return Tuple{
		Purpose: anyOf(t, "purpose", Purposes()), Recipient: anyOf(t, "recipient", Recipients()), Relation: anyOf(t, "relation", Relations()),
		Open: rapid.Bool().Draw(t, "open"), Held: rapid.IntRange(0, 9).Draw(t, "held") > 0,
		Protected: rapid.IntRange(0, 4).Draw(t, "protected") == 0, Narrowed: rapid.IntRange(0, 4).Draw(t, "narrowed") == 0,
		Consent: anyOf(t, "consent", Consents()), Process: anyOf(t, "process", Processes()), Profile: anyOf(t, "profile", Profiles()),
		Tariff: rapid.Bool().Draw(t, "tariff"), Verstat: anyOf(t, "verstat", verstats()),
	}
}

func anyOf[T ~string](t *rapid.T, label string, known []T) T {
	return rapid.SampledFrom(append(known, "", "the mayor")).Draw(t, label)
}

// likelyTuple draws a tuple that a row was made for, changed in up to two places: most of anyTuple's end in D47.
func likelyTuple(t *rapid.T) Tuple {
	x := tupleFor(rapid.SampledFrom(allLines()).Draw(t, "line"))
	y := anyTuple(t)
	for range rapid.IntRange(0, 2).Draw(t, "changes") {
		rapid.SampledFrom(mixers).Draw(t, "change")(&x, y)
	}
	return x
}

var mixers = []func(x *Tuple, y Tuple){
	func(x *Tuple, y Tuple) { x.Purpose = y.Purpose }, func(x *Tuple, y Tuple) { x.Recipient = y.Recipient },
	func(x *Tuple, y Tuple) { x.Relation = y.Relation }, func(x *Tuple, y Tuple) { x.Open = y.Open },
	func(x *Tuple, y Tuple) { x.Held = y.Held }, func(x *Tuple, y Tuple) { x.Protected = y.Protected },
	func(x *Tuple, y Tuple) { x.Consent = y.Consent }, func(x *Tuple, y Tuple) { x.Process = y.Process },
	func(x *Tuple, y Tuple) { x.Profile = y.Profile }, func(x *Tuple, y Tuple) { x.Tariff = y.Tariff },
	func(x *Tuple, y Tuple) { x.Narrowed = y.Narrowed }, func(x *Tuple, y Tuple) { x.Verstat = y.Verstat },
}

type lineOf struct {
	row  *Row
	line *Line
}

func allLines() []lineOf {
	var all []lineOf
	for i := range terms {
		for j := range terms[i].Lines {
			all = append(all, lineOf{&terms[i], &terms[i].Lines[j]})
		}
	}
	return all
}

// tupleFor makes the plainest tuple that a line was written for.
func tupleFor(l lineOf) Tuple {
	x := Tuple{Purpose: PurposeUnlisted, Recipient: RecipientUnlisted, Relation: RelationNone, Open: l.line.Privacy != Restricted,
		Held: !l.line.NoNumber, Protected: l.line.Protected, Narrowed: l.line.Narrowed, Tariff: l.line.Tariff, Profile: ProfileCard,
		Consent: ConsentNone, Process: ProcessNone, Verstat: call.VerstatPassed}
	x.Purpose = firstOf(l.row.Purposes, x.Purpose)
	x.Recipient = firstOf(l.row.Recipients, x.Recipient)
	x.Relation = cmp.Or(l.line.Relation, x.Relation)
	x.Consent = cmp.Or(l.line.Consent, x.Consent)
	x.Process = cmp.Or(l.line.Process, x.Process)
	x.Profile = cmp.Or(l.line.Profile, l.line.Within, x.Profile)
	return x
}

func firstOf[T any](of []T, otherwise T) T {
	if len(of) == 0 {
		return otherwise
	}
	return of[0]
}

func TestTermsAreTotalAndPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := anyTuple(t)
		first := Decide(x)
		if first.Row == nil || !slices.Contains(Decisions(), first.Decision) {
			t.Fatalf("%+v: %+v", x, first)
		}
		if again := Decide(x); again != first {
			t.Fatalf("%+v: %+v, then %+v", x, first, again)
		}
	})
}

// TestEveryRowDecides: the plainest tuple of every line of every row comes to that line.
func TestEveryRowDecides(t *testing.T) {
	for _, l := range allLines() {
		x := tupleFor(l)
		if got := Decide(x); got.Row != l.row || got.Decision != l.line.Decision {
			t.Errorf("%+v: row %s %s, want %s %s", x, got.Row.ID, got.Decision, l.row.ID, l.line.Decision)
		}
	}
}

// Every tuple comes back from its facts, and its leaf is what the terms decide.
func TestFactsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := likelyTuple(t)
		facts := x.facts(Decide(x))
		back, err := tupleOf(facts)
		if err != nil || back != x.listed() {
			t.Fatalf("%+v became %+v, %v", x, back, err)
		}
		if err := CheckLeaf(call.Leaf{Kind: KindRelease, Facts: facts}); err != nil {
			t.Fatalf("%+v: %v", facts, err)
		}
	})
}
