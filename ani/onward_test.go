package ani

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"callhall/call"
)

// pen is a Signer that writes down what it signs.
type pen struct {
	signed []Onward
	err    error
}

func (p *pen) Sign(o Onward) (string, error) {
	p.signed = append(p.signed, o)
	text := "ours"
	o.Lend(func(number string) { text += "." + number })
	return text, p.err
}

// partnerLeg is a leg by which a number may go out.
func partnerLeg(id call.ID) Outgoing {
	return Outgoing{City: "a", Call: id, To: PartyCity, Whom: "parks", Trusted: true, Secured: true, Dialled: "+12125550177", By: "agent:ana"}
}

// Which signatures go on with a call: by what it brought, what came of that, when it goes on, and what is shown there. Of two
// headers at most the one goes on that was verified and may.
func TestSignaturesThatGoOn(t *testing.T) {
	passed := Verified{Verstat: call.VerstatPassed, Attest: call.AttestFull, Why: "ok", Dialled: 1, Onward: 2, SignedAt: time.Date(2026, 3, 1, 11, 59, 55, 0, time.UTC)}
	with := func(change func(*Verified)) Verified {
		v := passed
		change(&v)
		return v
	}
	const both, alone = "theirs.2 ours.12125550142", "ours.12125550142"
	for name, c := range map[string]struct {
		from  Headers
		says  Verified
		after time.Duration
		leg   func(*Outgoing)
		want  string
	}{
		"signed and right":                      {from: signedHeaders(), says: passed, want: both},
		"at the last moment":                    {from: signedHeaders(), says: passed, after: freshFor - 6*time.Second, want: both},
		"too late for the next":                 {from: signedHeaders(), says: passed, after: freshFor - 5*time.Second, want: alone},
		"hours later":                           {from: signedHeaders(), says: passed, after: 3 * time.Hour, want: alone},
		"right, and nothing that may go on":     {from: signedHeaders(), says: with(func(v *Verified) { v.Onward = 0 }), want: alone},
		"right, and a header that is not there": {from: signedHeaders(), says: with(func(v *Verified) { v.Onward = 3 }), want: alone},
		"right, and nobody knows since when":    {from: signedHeaders(), says: with(func(v *Verified) { v.SignedAt = time.Time{} }), want: alone},
		"not signed":                            {from: presentHeaders, want: alone},
		"signed and wrong":                      {from: signedHeaders(), says: Verified{Verstat: call.VerstatFailed, Why: "stale"}},
		"signed, nobody can tell":               {from: signedHeaders(), says: Verified{Verstat: call.VerstatNone, Why: "unsupported"}},
		"right, for a number that is not there": {from: signedHeaders(), says: with(func(v *Verified) { v.Dialled = 2 })},
		"withheld":                              {from: hiddenHeaders},
		"no number":                             {from: noHeaders},
		"to 911":                                {from: presentHeaders, leg: func(o *Outgoing) { o.To, o.Dialled = PartyPSAP, "urn:service:sos" }, want: alone},
		"to a stranger":                         {from: presentHeaders, leg: func(o *Outgoing) { o.Trusted = false }},
		"to an agent":                           {from: presentHeaders, leg: func(o *Outgoing) { o.To = PartyAgent }},
		"interpreter":                           {from: presentHeaders, leg: func(o *Outgoing) { o.To = PartyInterpreter }},
		"to nobody":                             {from: presentHeaders, leg: func(o *Outgoing) { o.Dialled = "" }},
		"of a city that cannot sign":            {from: presentHeaders, leg: func(o *Outgoing) { o.City = "b" }},
	} {
		p := &pen{}
		f := newInside(t, func(c *Config) {
			c.Signers = map[call.CityID]Signer{"a": p}
		})
		f.cfg.Verifier = &signed{says: c.says}
		leg := partnerLeg("")
		if c.leg != nil {
			c.leg(&leg)
		}
		in := f.incoming(leg.City, c.from)
		in.Dialled = []string{"311", "+12125550100"}
		caller, err := f.Capture(t.Context(), in)
		if err != nil {
			t.Fatal(name, err)
		}
		leg.Call = caller.Call
		f.now = f.now.Add(c.after)
		shown, err := f.Egress(t.Context(), leg)
		if err != nil {
			t.Fatal(name, err)
		}
		var got []string
		for _, h := range shown.Identity {
			value, _, _ := strings.Cut(h.Reveal(), ";")
			got = append(got, value)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
			continue
		}
		if c.want == "" {
			continue
		}
		o := p.signed[0]
		right := Onward{At: f.now, Dest: leg.Dialled, Div: "+12125550100"}
		if c.want == alone {
			right = Onward{At: f.now, Dest: leg.Dialled, Attest: call.AttestGateway, OrigID: originID("a", in.Trunk)}
		}
		o.Lend = nil
		if o.At != right.At || o.Dest != right.Dest || o.Div != right.Div || o.Attest != right.Attest || o.OrigID != right.OrigID || !shown.SignedAt.Equal(o.At) {
			t.Errorf("%s: signed %+v, want %+v", name, o, right)
		}
	}
}

// A leg that rings again is decided once, and signed at the time it rings: a signature is good for a minute.
func TestSignaturesAreMadeAnew(t *testing.T) {
	p := &pen{}
	f := newInside(t, func(c *Config) { c.Signers = map[call.CityID]Signer{"a": p} })
	leg := partnerLeg(f.arrive(t, "a", presentHeaders).Call)
	f.book.take("a")
	for range 2 {
		f.now = f.now.Add(10*time.Minute + time.Millisecond)
		shown, err := f.Egress(t.Context(), leg)
		if err != nil || len(shown.Identity) != 1 || !shown.SignedAt.Equal(f.now.Truncate(time.Second)) {
			t.Errorf("%+v, %v", shown, err)
		}
	}
	if n := len(f.book.take("a")); n != 2 || len(p.signed) != 2 {
		t.Errorf("%d leaves, %d signatures", n, len(p.signed))
	}
	p.err = errors.New("the certificate is not valid now")
	if shown, err := f.Egress(t.Context(), leg); err != nil || shown.Number.Reveal() == "" || len(shown.Identity) != 0 {
		t.Errorf("a number that cannot be signed: %+v, %v", shown, err)
	}
	f.Over("a", leg.Call)
	if shown, err := f.Egress(t.Context(), leg); err != nil || len(shown.Identity) != 0 {
		t.Errorf("a call that is over: %+v, %v", shown, err)
	}
}

func TestOriginIDs(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for _, city := range []call.CityID{"a", "b"} {
		for _, trunk := range []call.TrunkID{"x", "y"} {
			id := originID(city, trunk)
			if !form.MatchString(id) || seen[id] || id != originID(city, trunk) {
				t.Error(id)
			}
			seen[id] = true
		}
	}
}

// Long values come back whole, and no two boxes are alike.
func TestIdentityHeadersComeBack(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 4096, 8192} {
		value := strings.Repeat("v", n)
		a, b := SealIdentityHeader(value), SealIdentityHeader(value)
		if a.Reveal() != value || string(a.sealed) == string(b.sealed) || strings.Contains(string(a.sealed), "vvvv") {
			t.Errorf("%d bytes", n)
		}
	}
	if (IdentityHeader{}).Reveal() != "" || SealIdentityHeader("").Reveal() != "" {
		t.Error("none is something")
	}
}
