package ani

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"callhall/call"
)

// signed is a Verifier that says what it is told.
type signed struct {
	says Verified
	saw  Signed
	lent string
}

func (s *signed) Verify(_ context.Context, what Signed) Verified {
	s.saw, s.lent = what, ""
	what.Lend(func(number string) { s.lent = number })
	return s.says
}

// theirs is what a carrier signed; no token, but nothing here reads one.
var theirs = []string{"theirs.1;info=<https://a.example>", "theirs.2;info=<https://b.example>"}

// signedHeaders come with a number and a signature.
func signedHeaders() Headers {
	return Headers{Asserted: presentHeaders.Asserted, Identity: slices.Clone(theirs)}
}

func TestSignaturesCountForMoreThanTheCarriersWord(t *testing.T) {
	s := &signed{says: Verified{Verstat: call.VerstatFailed, Why: "stale"}}
	f := newInside(t, func(c *Config) { c.Verifier = s })
	in := f.incoming("a", signedHeaders())
	in.Headers.Verstat, in.Headers.Date, in.Dialled = "TN-Validation-Passed-A", "now", []string{"311"}
	c, err := f.Capture(t.Context(), in)
	if err != nil || c.Verstat != call.VerstatFailed || c.Attest != call.AttestNone {
		t.Errorf("%+v, %v", c, err)
	}
	if s.saw.Date != "now" || len(s.saw.Identity) != 2 || s.saw.Dialled[0] != "311" || !s.saw.At.Equal(f.now) || s.lent != "12125550142" ||
		!s.saw.Caller("12125550142") || s.saw.Caller("12125550143") || s.saw.Caller("") {
		t.Errorf("%+v", s.saw)
	}
	s.says = Verified{Verstat: call.VerstatPassed, Attest: call.AttestPartial, Why: "ok"}
	if c, err = f.Capture(t.Context(), f.incoming("a", signedHeaders())); err != nil || c.Verstat != call.VerstatPassed || c.Attest != call.AttestPartial {
		t.Errorf("%+v, %v", c, err)
	}
	if c := f.arrive(t, "a", presentHeaders); c.Verstat != call.VerstatNone {
		t.Errorf("without a signature: %+v", c)
	}
	f.arrive(t, "a", Headers{From: []string{"<sip:anonymous@anonymous.invalid>"}, Identity: slices.Clone(theirs)})
	if s.lent != "" || s.saw.Caller("") {
		t.Errorf("nobody's number is lent as %q", s.lent)
	}
}

// The leaf of the routing says in a word why, and CheckLeaf holds it against verstat; no other leaf says it, and nothing
// but a word gets there.
func TestLeavesSayWhatSignaturesCameTo(t *testing.T) {
	s := &signed{}
	f := newInside(t, func(c *Config) { c.Verifier = s })
	for _, c := range []struct {
		says     Verified
		why      string
		diverted string
	}{
		{Verified{Verstat: call.VerstatPassed, Attest: call.AttestFull, Why: "ok", Diverted: true}, "ok", "yes"},
		{Verified{Verstat: call.VerstatFailed, Why: "orig-mismatch"}, "orig-mismatch", ""},
		{Verified{Verstat: call.VerstatFailed, Why: "12125550142"}, "", ""},
		{Verified{Verstat: call.VerstatFailed, Why: strings.Repeat("a", 33)}, "", ""},
	} {
		s.says = c.says
		id := f.arrive(t, "a", signedHeaders()).Call
		leaves := f.book.take("a")
		if len(leaves) != 1 || leaves[0].Facts["stir"] != c.why || leaves[0].Facts["diverted"] != c.diverted {
			t.Errorf("%+v: %+v", c.says, leaves)
			continue
		}
		if err := CheckLeaf(leaves[0]); err != nil {
			t.Error(err)
		}
		if _, err := f.Egress(t.Context(), Outgoing{City: "a", Call: id, To: PartyAgent}); err != nil {
			t.Error(err)
		}
		if other := f.book.take("a"); len(other) != 1 || other[0].Facts["stir"] != "" {
			t.Errorf("another leaf: %+v", other)
		}
		for _, lie := range []string{"ok", "stale", "no 1", ""} {
			leaves[0].Facts["stir"] = lie
			right := (lie == "ok") == (c.says.Verstat == call.VerstatPassed) && lie != "no 1"
			if err := CheckLeaf(leaves[0]); errors.Is(err, ErrRuling) == right {
				t.Errorf("stir %q with verstat %s: %v", lie, c.says.Verstat, err)
			}
		}
	}
}
