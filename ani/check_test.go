package ani

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"callhall/call"
)

func leafOf(f map[string]string) call.Leaf { return call.Leaf{Kind: KindRelease, Facts: f} }

// likelyTuple draws one of what eachLikely goes through.
func likelyTuple(t *rapid.T) Tuple {
	var all []Tuple
	eachLikely(t, func(x Tuple) { all = append(all, x) })
	return rapid.SampledFrom(all).Draw(t, "tuple")
}

// factWords has what each fact of a tuple may say.
var factWords = map[string][]string{
	"purpose": asWords(Purposes()), "recipient": asWords(Recipients()), "relation": asWords(Relations()), "consent": asWords(Consents()),
	"process": asWords(Processes()), "profile": asWords(Profiles()), "verstat": asWords(verstats()),
	"privacy": {"none", "restricted"}, "number": {"held", "none"}, "law": {"protected", "none"}, "tariff": {"yes", "no"}, "narrowed": {"yes", "no"},
}

func asWords[T ~string](of []T) []string {
	all := make([]string, len(of))
	for i, v := range of {
		all[i] = string(v)
	}
	return all
}

func TestFactsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := func(x Tuple) {
			facts := x.facts(Decide(x))
			back, err := tupleOf(facts)
			if err != nil || back != x.listed() {
				t.Fatalf("%+v became %+v, %v", x, back, err)
			}
			if err := CheckLeaf(leafOf(facts)); err != nil {
				t.Fatalf("%+v: %v", facts, err)
			}
			for name, value := range facts {
				if strings.Contains(value, "mayor") {
					t.Fatalf("fact %s has a stranger's words: %s", name, value)
				}
			}
		}
		one(anyTuple(t))
		eachLikely(t, one)
	})
}

// Any other word in any fact of the tuple is found when it alters the ruling, and only then.
func TestCheckFindsEveryChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := likelyTuple(t)
		was := Decide(x)
		facts := x.facts(was)
		for name, values := range factWords {
			for _, value := range values {
				changed := maps.Clone(facts)
				changed[name] = value
				y, err := tupleOf(changed)
				if err != nil {
					t.Fatal(err)
				}
				err = CheckLeaf(leafOf(changed))
				if altered := Decide(y) != was; altered != errors.Is(err, ErrRuling) {
					t.Fatalf("%v with %s %s: altered %t, found %v", facts, name, value, altered, err)
				}
			}
			changed := maps.Clone(facts)
			delete(changed, name)
			if err := CheckLeaf(leafOf(changed)); !errors.Is(err, ErrRuling) {
				t.Fatalf("without %s: %v", name, err)
			}
		}
	})
}

// What came out cannot be rewritten either.
func TestCheckFindsAnotherOutcome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := likelyTuple(t)
		facts := x.facts(Decide(x))
		for name, values := range map[string][]string{"row": {"D01", "D47", "", "D99"}, "result": append(asWords(Decisions()), ""),
			"obligations": {"", "O1", "O1,O2,O3,O9"}, "unverified": {"yes", "", "no"}, "stopped": {"because"}} {
			for _, value := range values {
				changed := maps.Clone(facts)
				changed[name] = value
				if err := CheckLeaf(leafOf(changed)); (facts[name] != value) != errors.Is(err, ErrRuling) {
					t.Fatalf("%v with %s %q: %v", facts, name, value, err)
				}
			}
		}
	})
}

// A release that was stopped is a denial by the row that had allowed it, and nothing else may call itself stopped.
func TestCheckOfWhatWasStopped(t *testing.T) {
	for _, l := range allLines() {
		x := tupleFor(l)
		for _, stop := range Stops() {
			stopped := x.facts(Ruling{Decision: Deny, Row: l.row})
			stopped["stopped"] = string(stop)
			if err := CheckLeaf(leafOf(stopped)); (err == nil) != (l.line.Decision != Deny) {
				t.Errorf("%s stopped by %s: %v", l.row.ID, stop, err)
			}
			stopped["stopped"] = "somebody"
			if err := CheckLeaf(leafOf(stopped)); !errors.Is(err, ErrRuling) {
				t.Errorf("%s stopped by nothing that is known: %v", l.row.ID, err)
			}
			gone := x.facts(Decide(x))
			gone["stopped"] = string(stop)
			if err := CheckLeaf(leafOf(gone)); !errors.Is(err, ErrRuling) {
				t.Errorf("%s calls itself stopped by %s and is not: %v", l.row.ID, stop, err)
			}
		}
	}
}

func TestCheckOfOtherLeaves(t *testing.T) {
	if err := CheckLeaf(call.Leaf{Kind: KindErased}); err != nil {
		t.Error(err)
	}
	for _, policy := range []string{"", "terms-3", "terms-02"} {
		x := Tuple{}.facts(Decide(Tuple{}))
		x["policy"] = policy
		if err := CheckLeaf(leafOf(x)); !errors.Is(err, ErrPolicyUnknown) || errors.Is(err, ErrRuling) {
			t.Errorf("policy %q: %v", policy, err)
		}
	}
	err := CheckLeaf(leafOf(map[string]string{"policy": PolicyVersion, "purpose": "ring 2125550142"}))
	if !errors.Is(err, ErrRuling) || strings.Contains(err.Error(), "2125550142") {
		t.Errorf("an error text has what a fact says: %v", err)
	}
}

// before1 is a leaf as version terms-1 wrote it.
func before1(change map[string]string) call.Leaf {
	f := map[string]string{"purpose": "completion-live", "recipient": "AGT", "privacy": "none", "number": "held", "consent": "none",
		"process": "none", "profile": "card", "relation": "handling", "verstat": "none", "policy": "terms-1", "row": "D08", "result": "MASK",
		"obligations": "O1,O2,O3,O4,O8,O9", "release": "rel_0", "status": "known", "source": "p-asserted-identity"}
	maps.Copy(f, change)
	return leafOf(f)
}

// Leaves of the terms before are still checked by the terms before.
func TestCheckOfTheTermsBefore(t *testing.T) {
	denied := func(row string, more map[string]string) map[string]string {
		more["row"], more["result"], more["obligations"] = row, "DENY", ""
		return more
	}
	for name, c := range map[string]struct {
		change map[string]string
		good   bool
	}{
		"the mask":                       {nil, true},
		"the mask of a private number":   {map[string]string{"privacy": "restricted"}, false},
		"denied, since it is private":    {denied("D47", map[string]string{"privacy": "restricted"}), true},
		"the number":                     {map[string]string{"result": "FULL"}, false},
		"routing":                        {map[string]string{"purpose": "routing", "recipient": "ENG", "row": "D01", "result": "FULL", "obligations": "O1,O2,O3,O9"}, true},
		"interpreter":                    {denied("D44", map[string]string{"purpose": "conference", "recipient": "PRIV"}), true},
		"interpreter without a number":   {denied("D44", map[string]string{"purpose": "conference", "recipient": "PRIV", "number": "none"}), true},
		"no number":                      {denied("D42", map[string]string{"number": "none"}), true},
		"another city":                   {denied("D40", map[string]string{"recipient": "XT", "number": "none"}), true},
		"a case that may be a number":    {denied("D47", map[string]string{"case": "refused"}), true},
		"denied for no reason":           {denied("D47", map[string]string{}), false},
		"a row that was not yet there":   {map[string]string{"purpose": "screening", "recipient": "ENG", "row": "D15", "result": "FULL"}, false},
		"emergency, not yet a row":       {denied("D47", map[string]string{"purpose": "emergency", "recipient": "PSAP"}), true},
		"a fact that was not yet there":  {map[string]string{"law": "protected"}, false},
		"a duty left out":                {map[string]string{"obligations": "O1,O2,O3,O4,O9"}, false},
		"a profile that was not offered": {map[string]string{"profile": "mine"}, false},
	} {
		if err := CheckLeaf(before1(c.change)); (err == nil) != c.good || err != nil && !errors.Is(err, ErrRuling) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCheckLeaf(f *testing.F) {
	lines := func(facts map[string]string) string {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(facts)) {
			b.WriteString(name + "=" + facts[name] + "\n")
		}
		return b.String()
	}
	for _, l := range allLines() {
		f.Add(KindRelease, lines(tupleFor(l).facts(Decide(tupleFor(l)))))
	}
	f.Add(KindRelease, lines(before1(nil).Facts))
	f.Add(KindErased, "")
	f.Fuzz(func(t *testing.T, kind, text string) {
		facts := map[string]string{}
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			facts[name] = value
		}
		err := CheckLeaf(call.Leaf{Kind: kind, Facts: facts})
		if err != nil && !errors.Is(err, ErrRuling) && !errors.Is(err, ErrPolicyUnknown) {
			t.Fatalf("an error of no kind: %v", err)
		}
		if err == nil && kind == KindRelease && facts["result"] == string(Full) && facts["number"] != "held" {
			t.Fatalf("a number that is not held went out: %v", facts)
		}
	})
}
