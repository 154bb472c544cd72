package ani

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		x    Tuple
		want string
	}{
		{given(PurposeLiveCall, RecipientAgent, handling, unvouched), "AGT asks for the purpose completion-live, and row D08 decides MASK because " +
			"the caller asked for no restriction, and the recipient handles this call; no carrier vouches for the number, so it is marked unverified (D41)."},
		{given(PurposeLegalProcess, RecipientPolice, named, withPaper(ProcessPaper)), "LE asks for the purpose legal-process, and row D27 decides FULL because " +
			"this call stands in the ticket, paper or consent that was given, and the city verified a subpoena, order or warrant."},
		{given(PurposeRouting, RecipientEngine), "ENG asks for the purpose routing, and row D01 decides FULL without further condition."},
		{given("why not", RecipientAgent), "AGT asks for the purpose unlisted, and under these circumstances no other row of the terms speaks of it, so nothing is released."},
		{given(PurposeMarketing, RecipientAgent), "AGT asks for the purpose marketing, and row D37 decides DENY because consent is affirmative at most."},
		{given(PurposeRouting, RecipientEngine, unheld), "ENG asks for the purpose routing, and row D42 decides DENY because there is no number."},
	} {
		if got := Explain(c.x).Why; got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
	e := Explain(given(PurposeDropped, RecipientAgent, dropped, withPaper(ProcessReason)))
	if e.Expires != "after 30 minutes" || !e.Handle || e.Means != "the number" || e.Unverified || len(e.Obligations) != 8 || e.Obligations[4].ID != Capped {
		t.Errorf("%+v", e)
	}
	if e := Explain(given(PurposeDropped, RecipientAgent)); e.Expires != "" || e.Handle || e.Obligations == nil {
		t.Errorf("nothing is released, and yet %+v", e)
	}
}

// Every tuple is explained as it is decided, wholly, and in words of ours.
func TestExplainIsWhatDecideSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.OneOf(rapid.Custom(anyTuple), rapid.Custom(likelyTuple)).Draw(t, "tuple")
		e, r := Explain(x), Decide(x)
		if e.Row != r.Row.ID || e.Decision != r.Decision || e.Unverified != r.Unverified || len(e.Obligations) != len(r.Obligations()) ||
			e.What == "" || e.Citation == "" || e.Means == "" || (e.Expires == "") != (r.Decision == Deny || r.Decision == Aggregate) {
			t.Fatalf("%+v: %+v", x, e)
		}
		if slices.ContainsFunc(e.Obligations, func(d Duty) bool { return d.Says == "" }) {
			t.Fatalf("a duty without words: %+v", e)
		}
		text, err := json.Marshal(e)
		if err != nil || strings.Contains(string(text), "mayor") {
			t.Fatalf("%s, %v", text, err)
		}
	})
}
