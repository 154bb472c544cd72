package ani

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

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

// eachLikely calls f with the tuple of every line of the table, all changed alike in up to three places: most of what
// anyTuple draws ends in D47, and what a line was written for is rare.
func eachLikely(t *rapid.T, f func(x Tuple)) {
	y := anyTuple(t)
	changes := rapid.SliceOfN(rapid.SampledFrom(mixers), 0, 3).Draw(t, "changes")
	for _, l := range allLines() {
		x := tupleFor(l)
		for _, change := range changes {
			change(&x, y)
		}
		f(x)
	}
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
	return Tuple{
		Purpose: firstOf(l.row.Purposes, PurposeUnlisted), Recipient: firstOf(l.row.Recipients, RecipientUnlisted),
		Relation: cmp.Or(l.line.Relation, RelationNone), Consent: cmp.Or(l.line.Consent, ConsentNone),
		Process: cmp.Or(l.line.Process, ProcessNone), Profile: cmp.Or(l.line.Profile, l.line.Within, ProfileCard),
		Open: l.line.Privacy != Restricted, Held: !l.line.NoNumber, Protected: l.line.Protected, Narrowed: l.line.Narrowed,
		Tariff: l.line.Tariff, Verstat: call.VerstatPassed,
	}
}

func firstOf[T any](of []T, otherwise T) T {
	if len(of) == 0 {
		return otherwise
	}
	return of[0]
}

func TestTermsAreTotalAndPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := func(x Tuple) {
			first := Decide(x)
			if first.Row == nil || !slices.Contains(Decisions(), first.Decision) {
				t.Fatalf("%+v: %+v", x, first)
			}
			if again := Decide(x); again != first {
				t.Fatalf("%+v: %+v, then %+v", x, first, again)
			}
			if plain := Decide(x.listed()); plain != first {
				t.Fatalf("%+v: %+v, but with what its words count for %+v", x, first, plain)
			}
		}
		one(anyTuple(t))
		eachLikely(t, one)
	})
}

// width orders decisions from nothing to the number.
func width(d Decision) int { return slices.Index(Decisions(), d) }

// narrowings are the changes after which nobody may get more than before. For those of an ordered value y has a draw.
var narrowings = map[string]func(x *Tuple, y Tuple){
	"asking for privacy":              func(x *Tuple, _ Tuple) { x.Open = false },
	"removing consent":                func(x *Tuple, y Tuple) { x.Consent = least(x.Consent, y.Consent, Consents()) },
	"removing the paper":              func(x *Tuple, _ Tuple) { x.Process = ProcessNone },
	"serving it on the vendor":        func(x *Tuple, _ Tuple) { x.Process = ProcessMisserved },
	"a narrower profile":              func(x *Tuple, y Tuple) { x.Profile = least(x.Profile, y.Profile, Profiles()) },
	"a city's prohibition":            func(x *Tuple, _ Tuple) { x.Narrowed = true },
	"a law's protection":              func(x *Tuple, _ Tuple) { x.Protected = true },
	"having no number":                func(x *Tuple, _ Tuple) { x.Held = false },
	"having nothing to do with it":    func(x *Tuple, _ Tuple) { x.Relation = RelationNone },
	"having no tariff":                func(x *Tuple, _ Tuple) { x.Tariff = false },
	"a purpose that is not listed":    func(x *Tuple, _ Tuple) { x.Purpose = "because" },
	"a recipient who is not listed":   func(x *Tuple, _ Tuple) { x.Recipient = "me" },
	"a consent that is not listed":    func(x *Tuple, _ Tuple) { x.Consent = "presumed" },
	"a paper that is not listed":      func(x *Tuple, _ Tuple) { x.Process = "a note" },
	"a profile that is not listed":    func(x *Tuple, _ Tuple) { x.Profile = "everything" },
	"being of another city":           func(x *Tuple, _ Tuple) { x.Recipient = RecipientOtherCity },
	"a network that is not ours":      func(x *Tuple, _ Tuple) { x.Recipient = strangerFor(x.Recipient) },
	"a signature that does not match": func(x *Tuple, _ Tuple) { x.Verstat = call.VerstatFailed },
}

// least returns the one that stands first in known, and is the strictest where it is not listed.
func least[T ~string](a, b T, known []T) T {
	return known[max(0, min(slices.Index(known, a), slices.Index(known, b)))]
}

func TestTermsAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z := anyTuple(t)
		eachLikely(t, func(x Tuple) {
			for why, change := range narrowings {
				y := x
				change(&y, z)
				if was, is := Decide(x).Decision, Decide(y).Decision; width(is) > width(was) {
					t.Fatalf("%s widens %+v from %s to %s", why, x, was, is)
				}
			}
		})
	})
}

func strangerFor(r Recipient) Recipient {
	if r == RecipientTrunk {
		return RecipientStranger
	}
	return r
}

// What no setting, no law and no lack may do, and what each must.
func TestPrecedence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		eachLikely(t, func(x Tuple) {
			for i := range 8 {
				x.Held, x.Protected, x.Narrowed = i&1 == 0, i&2 != 0, i&4 != 0
				checkPrecedence(t, x)
			}
		})
	})
}

func checkPrecedence(t *rapid.T, x Tuple) {
	got := Decide(x)
	emergency := x.Purpose == PurposeEmergency && x.Recipient == RecipientPSAP
	fixed := slices.Contains(fixedPurposes, x.Purpose)
	open := x
	open.Narrowed, open.Profile = false, ProfileNYC
	switch {
	case emergency && x.Held && (got.Decision != Full || got.Row.ID != "D25"):
		t.Fatalf("emergency %+v: %s %s", x, got.Row.ID, got.Decision)
	case !x.Held && got.Decision != Deny:
		t.Fatalf("no number, and yet %+v: %s %s", x, got.Row.ID, got.Decision)
	case x.Recipient == RecipientOtherCity && got.Row.ID != "D40":
		t.Fatalf("another city, %+v: %s", x, got.Row.ID)
	case x.Protected && !emergency && got.Decision != Deny && (x.Recipient != RecipientEngine || !slices.Contains([]string{"D01", "D48", "D49"}, got.Row.ID)):
		t.Fatalf("protected, %+v: %s %s", x, got.Row.ID, got.Decision)
	case fixed && got.Decision != Decide(open).Decision:
		t.Fatalf("the city's settings change %+v from %s to %s", x, Decide(open).Decision, got.Decision)
	case x.Narrowed && !fixed && got.Decision != Deny:
		t.Fatalf("the city forbids it, and yet %+v: %s %s", x, got.Row.ID, got.Decision)
	}
}

// A city without third parties releases to none of them but by D25 to D28 and the subject's rights.
func TestNoThirdPartyMeansIt(t *testing.T) {
	ours := []Recipient{RecipientEngine, RecipientAgent, RecipientSupervisor, RecipientCity, RecipientCRM, RecipientSubject}
	rapid.Check(t, func(t *rapid.T) {
		eachLikely(t, func(x Tuple) {
			x.Profile = ProfileNoThirdParty
			got := Decide(x)
			if got.Decision != Deny && !slices.Contains(ours, x.Recipient) && !slices.Contains([]string{"D25", "D26", "D27", "D31"}, got.Row.ID) {
				t.Fatalf("%+v: %s %s", x, got.Row.ID, got.Decision)
			}
		})
	})
}

func TestNothingButFullHasTheDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`1[2-9][0-9]{2}55501[0-9]{2}|44207946[0-9]{4}`).Draw(t, "number")
		mask := "+44 ***-**" + number[len(number)-2:]
		if number[0] == '1' {
			mask = "+1 " + number[1:4] + " ***-**" + number[len(number)-2:]
		}
		want := map[Decision]string{Full: "+" + number, Mask: mask}
		eachLikely(t, func(x Tuple) {
			d := Decide(x).Decision
			if shown := valueOf(seal(number), d).Reveal(); shown != want[d] {
				t.Fatalf("%s shows %q, want %q", d, shown, want[d])
			}
		})
	})
}

// TestEveryRowDecides: the plainest tuple of every line of every row comes to that line, so no row is there for nothing.
func TestEveryRowDecides(t *testing.T) {
	for _, l := range allLines() {
		x := tupleFor(l)
		if got := Decide(x); got.Row != l.row || got.Row.line(&x) != l.line || got.Decision != l.line.Decision {
			t.Errorf("%+v: row %s %s, want %s %s", x, got.Row.ID, got.Decision, l.row.ID, l.line.Decision)
		}
	}
}

// TestTermsArePrinted: each row of the specification is there once, in its place, with what a lawyer looks for.
func TestTermsArePrinted(t *testing.T) {
	want := make([]string, 0, 52)
	for n := range 49 {
		want = append(want, fmt.Sprintf("D%02d", n+1))
	}
	want = append(want, "LAW", "CITY", "PROFILE")
	var got []string
	for _, r := range Terms() {
		got = append(got, r.ID)
		if r.What == "" || r.Citation == "" {
			t.Errorf("%s does not say what it is or where it comes from", r.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows %v", got)
	}
	for _, l := range allLines() {
		if l.line.Decision != Deny && (len(l.row.Purposes) == 0 || len(l.row.Recipients) == 0) {
			t.Errorf("%s releases without naming for what and to whom", l.row.ID)
		}
		if l.line.Decision == Full && !slices.Equal(l.row.Recipients, []Recipient{RecipientEngine}) && l.row.ID != "D25" && l.row.ID != "D12" &&
			l.line.Privacy == "" && l.line.Relation == "" && l.line.Consent == "" && l.line.Process == "" {
			t.Errorf("%s gives the number for the asking", l.row.ID)
		}
		for _, other := range l.row.Lines {
			if other.Decision == l.line.Decision && !slices.Equal(other.Also, l.line.Also) {
				t.Errorf("%s has two lines of one decision and different duties, which a ruling cannot tell apart", l.row.ID)
			}
		}
	}
}

// TestObligations compares every line with the list of duties, which names rows and not the other way round.
func TestObligations(t *testing.T) {
	expiry := map[string]time.Duration{"D05": 90 * days, "D06": 90 * days, "D09": 30 * time.Minute, "D10": 24 * time.Hour, "D15": 30 * days,
		"D16": 30 * days, "D17": 24 * time.Hour, "D18": 7 * days, "D48": 30 * time.Minute, "D49": 24 * time.Hour}
	papers := []string{"D19", "D22", "D26", "D27", "D29", "D30", "D31", "D35", "D38", "D39"}
	full := func(ids ...string) func(Ruling) bool {
		return func(r Ruling) bool { return r.Decision == Full && slices.Contains(ids, r.Row.ID) }
	}
	released := func(r Ruling) bool { return r.Decision != Deny }
	onlyEngine := func(r Ruling) bool { return slices.Equal(r.Row.Recipients, []Recipient{RecipientEngine}) }
	owed := map[Obligation]func(Ruling) bool{
		Ledgered: released, Encrypted: released,
		Bound:        func(r Ruling) bool { return released(r) && r.Decision != Aggregate },
		Expires:      func(r Ruling) bool { return released(r) && r.Decision != Aggregate },
		NoReuse:      func(r Ruling) bool { return released(r) && !onlyEngine(r) },
		Accounted:    func(r Ruling) bool { return released(r) && !onlyEngine(r) && r.Decision != Aggregate },
		Capped:       full("D09"),
		TwoPersons:   full("D19", "D26", "D27", "D29"),
		OwnerTold:    func(r Ruling) bool { return slices.Contains([]string{"D19", "D26", "D27", "D28", "D29"}, r.Row.ID) },
		Recallable:   full("D22", "D38", "D39"),
		ShownBriefly: full("D09"),
	}
	for _, l := range allLines() {
		r := Decide(tupleFor(l))
		for _, o := range Obligations() {
			if got := r.Obliges(o); got != owed[o](r) || got != slices.Contains(r.Obligations(), o) {
				t.Errorf("%s %s: %s is %t", r.Row.ID, r.Decision, o, got)
			}
		}
		if r.Row.Expiry != expiry[r.Row.ID] || r.Row.PerPaper != slices.Contains(papers, r.Row.ID) {
			t.Errorf("%s expires %s", r.Row.ID, r.Row.expires())
		}
	}
}

func TestPrivateNumbersAreSeenByNobodyWithoutAPaper(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		eachLikely(t, func(x Tuple) {
			x.Open, x.Process = false, ProcessNone
			got := Decide(x)
			if (got.Decision == Full || got.Decision == Mask) && sees(x.Recipient, got.Decision) && got.Row.ID != "D25" {
				t.Fatalf("%+v: %s %s", x, got.Row.ID, got.Decision)
			}
		})
	})
}

func TestNarrowing(t *testing.T) {
	n := Narrowing{Purposes: []Purpose{PurposeLiveCall, PurposeEmergency}, Recipients: []Recipient{RecipientVendor, RecipientPolice}}
	for _, c := range []struct {
		x    Tuple
		want bool
	}{
		{Tuple{Purpose: PurposeLiveCall, Recipient: RecipientAgent}, true},
		{Tuple{Purpose: PurposeSupport, Recipient: RecipientVendor}, true},
		{Tuple{Purpose: PurposeDropped, Recipient: RecipientAgent}, false},
		{Tuple{Purpose: PurposeEmergency, Recipient: RecipientPSAP}, false},
		{Tuple{Purpose: PurposeLegalProcess, Recipient: RecipientPolice}, false},
	} {
		if got := n.Forbids(c.x); got != c.want {
			t.Errorf("%+v: %t", c.x, got)
		}
	}
	if err := (Narrowing{Purposes: []Purpose{PurposeLiveCall}, Recipients: []Recipient{RecipientVendor}}).Check(); err != nil {
		t.Error(err)
	}
	err := Narrowing{Purposes: []Purpose{PurposeSubjectRights, "all"}, Recipients: []Recipient{RecipientPSAP}}.Check()
	if err == nil || len(regexp.MustCompile(`(?m)^narrow the terms: `).FindAllString(err.Error(), -1)) != 3 {
		t.Errorf("want three faults: %v", err)
	}
}

// BenchmarkDecide goes round all kinds of tuples: one for each line of the table, and each again as a miss.
func BenchmarkDecide(b *testing.B) {
	var all []Tuple
	for _, l := range allLines() {
		x := tupleFor(l)
		miss := x
		miss.Recipient, miss.Open = RecipientCRM, false
		all = append(all, x, miss)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if i++; i == len(all) {
			i = 0
		}
		if Decide(all[i]).Row == nil {
			b.Fatal("no row")
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}

// Deciding allocates nothing.
func TestDecideAllocatesNothing(t *testing.T) {
	for _, l := range allLines() {
		x := tupleFor(l)
		if n := testing.AllocsPerRun(10, func() { Decide(x) }); n != 0 {
			t.Errorf("%s: %v allocations", l.row.ID, n)
		}
	}
}
