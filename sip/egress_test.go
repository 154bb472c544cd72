package sip

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"pgregory.net/rapid"

	"callhall/ani"
	"callhall/call"
)

// decisions is an Egress that decides as the test says, by the kind of who will read it.
type decisions struct {
	handles
	shown map[string]ani.Shown
	err   error
	wait  bool // until ctx ends
	asked chan ani.Outgoing
}

func (d *decisions) Egress(ctx context.Context, o ani.Outgoing) (ani.Shown, error) {
	d.asked <- o
	if d.wait {
		<-ctx.Done()
		return d.shown[string(o.To)], ctx.Err()
	}
	return d.shown[string(o.To)], d.err
}

// decide makes an Egress of decisions part of a stage.
func decide(d *decisions) func(*Config, *Deps) {
	d.asked = make(chan ani.Outgoing, 16)
	return func(_ *Config, deps *Deps) { deps.Egress = d }
}

// values are all header fields of p by that name.
func (p presentation) values(name string) (found []string) {
	for _, h := range p.headers {
		if strings.EqualFold(h.Name(), name) {
			found = append(found, h.Value())
		}
	}
	return found
}

// TestPresentationsFollowRFC3325 makes up decisions, right ones and wrong ones, and tries each way to send them.
func TestPresentationsFollowRFC3325(t *testing.T) {
	number, mask := full(t, "+1"+theDigits), masked(t, "+1"+theDigits)
	privacies := rapid.SliceOf(rapid.SampledFrom([]string{"id", "ID", "none", "user", "header", "critical", "x-" + theDigits, "id\r\nX: y"}))
	rapid.Check(t, func(t *rapid.T) {
		shown := ani.Shown{Privacy: privacies.Draw(t, "privacy"), Verified: rapid.Bool().Draw(t, "verified"), Mask: mask, SignedAt: time.Unix(1_700_000_000, 0),
			Identity: rapid.SliceOfN(rapid.Map(rapid.SampledFrom([]string{"", "token;info=<https://x.example>", "a\r\nX: " + theDigits}), ani.SealIdentityHeader), 0, 3).Draw(t, "identity")}
		for i := range 5 * 2 * 2 * 2 * 2 * 3 {
			kinds := []call.PartnerKind{"", call.PartnerCity, call.PartnerPrivate, call.PartnerPSAP, call.PartnerInterpreter}
			w := way{kind: kinds[i%5], number: []string{"", "+12125550100"}[i/5%2],
				trunk: Trunk{TrustOut: i/10%2 == 0, Secured: i/20%2 == 0}, proxy: proxy{addr: netip.MustParseAddrPort("192.0.2.1:5060")}}
			shown.Anonymous = i/40%2 == 0
			shown.Number = []ani.Value{{}, number, mask}[i/80]
			for _, fault := range faultsOf(w, shown, i/80 == 1) {
				t.Errorf("%s, by %q with %+v", fault, w.kind, w.trunk)
			}
		}
		shown.Mask = []ani.Value{{}, number, mask}[rapid.IntRange(0, 2).Draw(t, "mask")]
		if word := callerWord(shown); word != "+1 212 ***-**42" && word != "withheld" && word != "unavailable" {
			t.Errorf("the agent is told %q", word)
		}
	})
}

// theDigits are those of the number that decisions are about.
const theDigits = "2125550142"

// faultsOf presents a decision, and finds what is wrong with it. With whole, the number that was released is a whole one.
func faultsOf(w way, shown ani.Shown, whole bool) (faults []string) {
	p := w.present("demo", shown, "192.0.2.2")
	from := p.from.header()
	text := p.from.name + " " + from.String()
	for _, h := range p.headers {
		text += "\n" + h.Name() + ": " + h.Value()
	}
	fault := func(is bool, what string) {
		if is {
			faults = append(faults, what+":\n"+text)
		}
	}
	pai, signed := p.values("P-Asserted-Identity"), len(p.values("Identity")) > 0
	privacy := strings.Split(strings.Join(p.values("Privacy"), ";"), ";")
	carries := strings.Contains(strings.Join(pai, ""), theDigits)
	nobody := from.User == "anonymous" && from.Host == "anonymous.invalid"
	psap, ours := w.kind == call.PartnerPSAP, w.kind == "" || w.kind == call.PartnerInterpreter
	fault(slices.ContainsFunc(p.headers, func(h sip.Header) bool {
		return hasControl(h.Value()) || !slices.Contains([]string{"P-Asserted-Identity", "Privacy", "Date", "Identity"}, h.Name())
	}), "something was let in")
	fault(len(pai) > 1, "two identities")
	fault(strings.Contains(text, theDigits) && !carries, "the number is somewhere else than in P-Asserted-Identity")
	fault(carries && !psap && !(w.trunk.TrustOut && w.trunk.Secured), "the number goes where nobody is trusted or all can hear (RFC 3325 §7)")
	fault(carries && ours, "the number goes where the city is to be shown")
	fault(carries && !whole, "a number that was not released")
	fault(psap && whole && !carries, "911 is kept from the number")
	fault(carries && shown.Anonymous && !slices.Contains(privacy, "id"), "nobody is told that it is withheld (RFC 3325 §9.3)")
	fault(shown.Anonymous && !ours && !nobody, "From names a caller who withholds (RFC 3323 §4.1.1.3)")
	fault(shown.Anonymous && signed, "a signature names a caller who withholds")
	fault(slices.Contains(privacy, "none") && (shown.Anonymous || len(privacy) > 1), "none beside something else (RFC 3323 §4.2)")
	fault(signed && (!carries || len(p.values("Date")) != 1), "a signature over nothing, or without Date (RFC 8224 §4)")
	for _, value := range []string{"id", "user", "header", "critical"} {
		asked := slices.ContainsFunc(shown.Privacy, func(v string) bool { return strings.EqualFold(v, value) })
		fault(asked && !ours && !slices.Contains(privacy, value), value+" was asked for, and is not passed on")
	}
	return faults
}

// TestWhatEachIsShown reads the identity headers of one INVITE for each recipient.
func TestWhatEachIsShown(t *testing.T) {
	number, mask := full(t, "+12125550142"), masked(t, "+12125550142")
	trusted := func(t *Trunk) { t.TrustOut = true }
	const pai, own = "<sip:+12125550142@127.0.0.1;user=phone>", "<sip:+12125550100@127.0.0.1;user=phone>"
	const nobody, opaque = `"Anonymous" <sip:anonymous@anonymous.invalid>`, `"311" <sip:call-*@demo.invalid>`
	for name, c := range map[string]struct {
		partner call.PartnerID
		handle  string
		trunk   func(*Trunk)
		shown   ani.Shown
		err     error
		from    string
		pai     string
		privacy string
	}{
		"an agency, open":             {partner: "parks", trunk: trusted, shown: ani.Shown{Number: number}, from: pai, pai: pai},
		"an agency, withheld":         {partner: "parks", trunk: trusted, shown: ani.Shown{Number: number, Anonymous: true, Privacy: []string{"id", "critical"}}, from: nobody, pai: pai, privacy: "id;critical"},
		"an agency, denied":           {partner: "parks", trunk: trusted, shown: ani.Shown{Anonymous: true, Privacy: []string{"id"}}, from: nobody, privacy: "id"},
		"an agency, says none":        {partner: "parks", trunk: trusted, shown: ani.Shown{Number: number, Privacy: []string{"none"}}, from: pai, pai: pai, privacy: "none"},
		"a stranger's trunk":          {partner: "power", shown: ani.Shown{Number: number}, from: opaque},
		"a stranger's trunk, private": {partner: "power", shown: ani.Shown{Number: number, Anonymous: true, Privacy: []string{"id"}}, from: nobody, privacy: "id"},
		"no decision":                 {partner: "power", trunk: trusted, shown: ani.Shown{Number: number}, err: errors.New("the ledger is away"), from: nobody, privacy: "id"},
		"911":                         {partner: "911", shown: ani.Shown{Number: number}, from: pai, pai: pai},
		"911, withheld":               {partner: "911", shown: ani.Shown{Number: number, Anonymous: true, Privacy: []string{"id"}}, from: nobody, pai: pai, privacy: "id"},
		"911, the ledger away":        {partner: "911", shown: ani.Shown{Number: number}, err: errors.New("the ledger is away"), from: pai, pai: pai},
		"an interpreter":              {partner: "tongues", trunk: trusted, shown: ani.Shown{Number: number, Mask: mask}, from: own, pai: own},
		"an interpreter, afar":        {partner: "tongues", shown: ani.Shown{Number: number}, from: own},
		"a caller, called back":       {handle: "hdl_1", trunk: trusted, from: own, pai: own},
	} {
		t.Run(name, func(t *testing.T) {
			d := &decisions{handles: handles{"hdl_1": number}, shown: map[string]ani.Shown{}, err: c.err}
			for _, kind := range []call.PartnerKind{call.PartnerCity, call.PartnerPrivate, call.PartnerPSAP, call.PartnerInterpreter} {
				d.shown[string(kind)] = c.shown
			}
			st := raise(t, decide(d))
			trunk := c.trunk
			if trunk == nil {
				trunk = func(*Trunk) {}
			}
			office := st.outside("udp", trunk)
			done := st.outward(t.Context(), call.Outward{Partner: c.partner, Handle: c.handle, Spoken: true, Ring: patienceOfTests})
			invite := office.expect("INVITE ")
			from, _, _ := strings.Cut(invite.get("from"), ";tag=")
			if i := strings.Index(from, "call-"); i > 0 {
				from = from[:i+5] + "*" + from[strings.Index(from, "@"):]
			}
			if from != c.from || strings.Join(invite.headers["p-asserted-identity"], "|") != c.pai || strings.Join(invite.headers["privacy"], "|") != c.privacy {
				t.Errorf("From: %s\nP-Asserted-Identity: %q\nPrivacy: %q", invite.get("from"), invite.headers["p-asserted-identity"], invite.headers["privacy"])
			}
			if c.handle == "" {
				if o := <-d.asked; o.City != "demo" || o.Call != "cl_x" || !o.Secured || o.Trusted != (c.trunk != nil) || !o.Spoken || o.By != "agent:ana" {
					t.Errorf("asked %+v", o)
				}
			}
			office.answer(invite, "486 Busy Here", "x", "")
			office.expect("ACK ")
			st.outcome(done)
			st.empty()
		})
	}
}

func TestUnsecuredTrunksCarryNoNumber(t *testing.T) {
	w := way{kind: call.PartnerCity, trunk: Trunk{TrustOut: true}, proxy: proxy{addr: netip.MustParseAddrPort("192.0.2.1:5060")}}
	shown := ani.Shown{Number: full(t, "+12125550142")}
	if p := w.present("demo", shown, "192.0.2.2"); len(p.headers) > 0 || p.from.number != (ani.Value{}) {
		t.Errorf("in the open: %v", p.headers)
	}
	w.trunk.Secured = true
	if p := w.present("demo", shown, "192.0.2.2"); len(p.values("P-Asserted-Identity")) != 1 {
		t.Error("over a secured link nothing is sent")
	}
}

// TestSignaturesGoAlong wants ani's signatures beside the number, in their order, with the Date that they were made at;
// all or none.
func TestSignaturesGoAlong(t *testing.T) {
	w := way{kind: call.PartnerCity, trunk: Trunk{TrustOut: true, Secured: true}}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	theirs, ours := "a.b.c;info=<https://cert.example/x>;alg=ES256;ppt=shaken", "d.e.f;info=<https://cert.example/y>;alg=ES256;ppt=div"
	shown := ani.Shown{Number: full(t, "+12125550142"), SignedAt: at, Identity: []ani.IdentityHeader{ani.SealIdentityHeader(theirs), ani.SealIdentityHeader(ours)}}
	p := w.present("demo", shown, "192.0.2.2")
	if got := p.values("Identity"); !slices.Equal(got, []string{theirs, ours}) {
		t.Errorf("Identity %q", got)
	}
	if got := p.values("Date"); len(got) != 1 || got[0] != "Sun, 01 Mar 2026 12:00:00 GMT" {
		t.Errorf("Date %q", got)
	}
	for _, broken := range []ani.IdentityHeader{{}, ani.SealIdentityHeader("a\r\nX: y")} {
		shown.Identity[0] = broken
		if p := w.present("demo", shown, "192.0.2.2"); len(p.values("Identity"))+len(p.values("Date")) > 0 {
			t.Error("half of it is sent")
		}
	}
}

// TestWhomSignaturesAreFor: a number where there is one, and nothing of a URI that is not who is called.
func TestWhomSignaturesAreFor(t *testing.T) {
	ts, err := newTrunks([]Trunk{{ID: "carrier", Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, Proxy: "udp://192.0.2.1:5060"}})
	if err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string]string{"tel:+12125550177": "+12125550177", "sip:+12125550177@gw.example;user=phone": "+12125550177",
		"sip:desk@parks.example:5070;transport=tcp": "sip:desk@parks.example", "urn:service:sos": "urn:service:sos", "sip:911@gw.example": "urn:service:sos"} {
		kind := call.PartnerCity
		if want == sosURN {
			kind = call.PartnerPSAP
		}
		w, err := Partner{Kind: kind, URI: uri, Trunk: "carrier"}.way(ts)
		if err != nil || w.dialled() != want {
			t.Errorf("%s: %q, %v; want %q", uri, w.dialled(), err, want)
		}
	}
}

// TestWhatAgentsAreTold reads the headers of an INVITE to a phone.
func TestWhatAgentsAreTold(t *testing.T) {
	mask, number := masked(t, "+12125550142"), full(t, "+12125550142")
	for name, c := range map[string]struct {
		shown            ani.Shown
		err              error
		caller, verified string
	}{
		"a mask, verified":       {ani.Shown{Mask: mask, Verified: true, Status: call.CallerPresent}, nil, "+1 212 ***-**42", "yes"},
		"a mask, not verified":   {ani.Shown{Mask: mask, Status: call.CallerPresent}, nil, "+1 212 ***-**42", "no"},
		"withheld":               {ani.Shown{Status: call.CallerWithheld, Anonymous: true}, nil, "withheld", "no"},
		"unavailable":            {ani.Shown{Status: call.CallerUnavailable}, nil, "unavailable", "no"},
		"invalid":                {ani.Shown{Status: call.CallerInvalid}, nil, "unavailable", "no"},
		"kept back by the terms": {ani.Shown{Status: call.CallerPresent}, nil, "withheld", "no"},
		"no decision":            {ani.Shown{Mask: mask, Status: call.CallerPresent}, errors.New("the ledger is away"), "unavailable", "no"},
		"a whole number":         {ani.Shown{Mask: number, Number: number, Status: call.CallerPresent}, nil, "withheld", "no"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &decisions{shown: map[string]ani.Shown{"agent": c.shown}, err: c.err}
			st := raise(t, decide(d))
			phone := st.phone("udp")
			done := st.ring(t.Context(), patienceOfTests)
			invite := phone.expect("INVITE ")
			if got := invite.headers["x-callhall-caller"]; len(got) != 1 || got[0] != c.caller {
				t.Errorf("X-Callhall-Caller: %q", got)
			}
			if got := invite.headers["x-callhall-verified"]; len(got) != 1 || got[0] != c.verified {
				t.Errorf("X-Callhall-Verified: %q", got)
			}
			if o := <-d.asked; o.Call != "cl_x" || o.City != "demo" || o.Whom != "ana" {
				t.Errorf("asked %+v", o)
			}
			phone.answer(invite, "486 Busy Here", "x", "")
			phone.expect("ACK ")
			st.outcome(done)
			st.empty()
		})
	}
}

// TestDecisionsThatDoNotCome wants the leg placed all the same.
func TestDecisionsThatDoNotCome(t *testing.T) {
	d := &decisions{wait: true, shown: map[string]ani.Shown{"psap": {Number: full(t, "+12125550142")}}}
	st := raise(t, decide(d))
	office := st.outside("udp")
	done := st.outward(t.Context(), call.Outward{Partner: "911", Ring: patienceOfTests})
	invite := office.expect("INVITE ")
	if !strings.Contains(invite.get("p-asserted-identity"), "+12125550142") {
		t.Errorf("911 is told %q", invite.headers["p-asserted-identity"])
	}
	office.answer(invite, "486 Busy Here", "x", "")
	office.expect("ACK ")
	st.outcome(done)
	st.empty()
}
