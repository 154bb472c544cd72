package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
)

// outside makes a peer the proxy of a trunk by which one partner of each kind is reached, and callers are called back.
func (st *stage) outside(network string, adjust ...func(*Trunk)) *wireDialog {
	st.t.Helper()
	var w *wire
	if network == "tcp" {
		w = st.awaited()
	} else {
		w = st.dial(network, "127.0.0.1:0")
	}
	trunk := Trunk{ID: "outward", Proxy: network + "://" + w.local}
	for _, f := range adjust {
		f(&trunk)
	}
	cfg := Config{Cities: []City{{ID: "demo", Number: "+12125550100", Callbacks: "outward"}}, Partners: []Partner{
		{City: "demo", ID: "parks", Kind: call.PartnerCity, URI: "sip:desk@parks.example", Trunk: "outward"},
		{City: "demo", ID: "power", Kind: call.PartnerPrivate, URI: "tel:+12125550177", Trunk: "outward"},
		{City: "demo", ID: "911", Kind: call.PartnerPSAP, URI: "urn:service:sos", Trunk: "outward"},
		{City: "demo", ID: "911 by number", Kind: call.PartnerPSAP, URI: "sip:911@psap.example", Trunk: "outward"},
		{City: "demo", ID: "tongues", Kind: call.PartnerInterpreter, URI: "tel:+12125550178", Trunk: "outward"},
	}}
	var err error
	if st.directory, err = newDirectory(cfg, &trunks{all: []Trunk{trunk}}); err != nil {
		st.t.Fatal(err)
	}
	d := w.ready()
	d.localTag = "outside" + d.callID
	return d
}

// awaited is a peer that waits for the server to connect to it over TCP.
func (st *stage) awaited() *wire {
	st.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		st.t.Fatal(err)
	}
	w := &wire{t: st.t, over: "tcp", local: l.Addr().String(), in: make(chan *text, 1024)}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		w.conn = conn // seen by whoever has taken a message from w.in
		defer conn.Close()
		w.read()
	}()
	st.t.Cleanup(func() {
		st.stop() // closes the connection
		l.Close()
		<-reading
	})
	return w
}

// outward begins a Dial.
func (st *stage) outward(ctx context.Context, o call.Outward) <-chan rung {
	done := make(chan rung, 1)
	o.City, o.Call, o.By = "demo", "cl_x", "agent:ana"
	go func() {
		leg, err := st.Dial(ctx, o, "partner-1")
		done <- rung{leg, err}
	}()
	return done
}

var toParks = call.Outward{Partner: "parks", Ring: patienceOfTests}

func TestPartnerAnswers(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			st := raise(t)
			office := st.outside(network)
			done := st.outward(t.Context(), toParks)
			invite := office.expect("INVITE sip:desk@parks.example SIP/2.0")
			office.remember(invite)
			office.say(invite, "100 Trying", "")
			office.say(invite, "183 Session Progress", phoneAnswer)
			office.say(invite, "200 OK", phoneAnswer)
			if ack := office.expect("ACK "); ack.get("cseq") != "1 ACK" || ack.tag("to") != office.localTag {
				t.Errorf("ACK %v", ack.headers)
			}
			r := st.outcome(done)
			if r.err != nil {
				t.Fatal(r.err)
			}
			in := call.NewInbox()
			r.leg.Attach(in)
			office.say(invite, "200 OK", phoneAnswer) // our ACK may have been lost
			office.expect("ACK ")
			if bye := office.do("BYE", ""); bye.start != "SIP/2.0 200 OK" {
				t.Errorf("BYE: %q", bye.start)
			}
			if ended := event[call.LegEnded](&liveCall{t: t, in: in}); ended.Leg != "partner-1" || ended.Cause != call.CauseNormal {
				t.Errorf("%+v", ended)
			}
			st.empty()
		})
	}
}

// TestWhereDialsGo wants the Request-URI and To of each kind.
func TestWhereDialsGo(t *testing.T) {
	for _, c := range []struct {
		o       call.Outward
		uri, to string
	}{
		{call.Outward{Partner: "parks"}, "sip:desk@parks.example", "<sip:desk@parks.example>"},
		{call.Outward{Partner: "power"}, "sip:+12125550177@127.0.0.1;user=phone", "<sip:+12125550177@127.0.0.1;user=phone>"},
		{call.Outward{Partner: "911"}, "urn:service:sos", "<urn:service:sos>"},
		{call.Outward{Partner: "911 by number"}, "sip:911@psap.example", "<urn:service:sos>"},
		{call.Outward{Partner: "tongues"}, "sip:+12125550178@127.0.0.1;user=phone", "<sip:+12125550178@127.0.0.1;user=phone>"},
		{call.Outward{Handle: "hdl_1"}, "sip:+12125550142@127.0.0.1;user=phone", "<sip:+12125550142@127.0.0.1;user=phone>"},
	} {
		t.Run(string(c.o.Partner)+c.o.Handle, func(t *testing.T) {
			st := raise(t, func(_ *Config, d *Deps) { d.Egress = handles{"hdl_1": full(t, "+12125550142")} })
			office := st.outside("udp")
			c.o.Ring = patienceOfTests
			done := st.outward(t.Context(), c.o)
			invite := office.expect("INVITE ")
			if invite.start != "INVITE "+c.uri+" SIP/2.0" || invite.get("to") != c.to {
				t.Errorf("%s, To: %s", invite.start, invite.get("to"))
			}
			office.remember(invite)
			office.say(invite, "200 OK", phoneAnswer)
			ack := office.expect("ACK ")
			if ack.start != "ACK "+office.contact+" SIP/2.0" || ack.get("to") != c.to+";tag="+office.localTag {
				t.Errorf("%s, To: %s", ack.start, ack.get("to"))
			}
			r := st.outcome(done)
			if r.err != nil {
				t.Fatal(r.err)
			}
			r.leg.HangUp(call.CauseNormal)
			office.say(office.expect("BYE "), "200 OK", "")
			st.empty()
		})
	}
}

// handles is an Egress of numbers behind handles.
type handles map[string]ani.Value

func (h handles) Destination(_ context.Context, city call.CityID, handle string, _ call.ID, by string, _ call.TrunkID) (ani.Value, error) {
	if city != "demo" || by != "agent:ana" || h[handle].Reveal() == "" {
		return ani.Value{}, fmt.Errorf("call back: %w", ani.ErrHandle)
	}
	return h[handle], nil
}

func (handles) Egress(context.Context, ani.Outgoing) (ani.Shown, error) { return nothing, nil }

func TestNobodyToDial(t *testing.T) {
	st := raise(t, func(_ *Config, d *Deps) { d.Egress = handles{"hdl_masked": masked(t, "+12125550142")} })
	st.outside("udp")
	for _, o := range []call.Outward{{Partner: "zoo"}, {Handle: "hdl_gone"}, {Handle: "hdl_masked"}, {}} {
		if r := st.outcome(st.outward(t.Context(), o)); !errors.Is(r.err, call.ErrUnreachable) {
			t.Errorf("%+v: %v", o, r.err)
		}
	}
	if _, err := st.Dial(t.Context(), call.Outward{City: "other", Partner: "parks"}, "x"); !errors.Is(err, call.ErrUnreachable) {
		t.Errorf("another city's partner: %v", err)
	}
	if _, err := st.Dial(t.Context(), call.Outward{City: "other", Handle: "hdl_1"}, "x"); !errors.Is(err, call.ErrUnreachable) {
		t.Errorf("a call-back of a city without a trunk for it: %v", err)
	}
	bare := raise(t)
	bare.outside("udp")
	if r := bare.outcome(bare.outward(t.Context(), call.Outward{Handle: "hdl_1"})); !errors.Is(r.err, call.ErrUnavailable) {
		t.Errorf("without a vault: %v", r.err)
	}
	st.empty()
}

// away is an Egress whose ledger is away.
type away struct{ handles }

func (away) Destination(context.Context, call.CityID, string, call.ID, string, call.TrunkID) (ani.Value, error) {
	return ani.Value{}, errors.New("the ledger is away")
}

func TestHandleWithoutLedger(t *testing.T) {
	st := raise(t, func(_ *Config, d *Deps) { d.Egress = away{} })
	st.outside("udp")
	if r := st.outcome(st.outward(t.Context(), call.Outward{Handle: "hdl_1"})); !errors.Is(r.err, call.ErrUnavailable) || errors.Is(r.err, call.ErrUnreachable) {
		t.Errorf("Dial: %v", r.err)
	}
	st.empty()
}

// TestPartnerSaysNothing wants a deaf partner given up on, and forgotten when the transaction's time is over.
func TestPartnerSaysNothing(t *testing.T) {
	st := raise(t)
	office := st.outside("udp")
	done := st.outward(t.Context(), call.Outward{Partner: "parks", Ring: 50 * time.Millisecond})
	office.expect("INVITE ")
	if r := st.outcome(done); !errors.Is(r.err, call.ErrUnreachable) {
		t.Errorf("Dial: %v", r.err)
	}
	st.empty()
	for _, m := range office.all() {
		if !strings.HasPrefix(m, "INVITE ") { // nothing has come that a CANCEL could follow (RFC 3261 §9.1)
			t.Errorf("then came %.40q", m)
		}
	}
}

func TestPartnerDoesNotTakeTheCall(t *testing.T) {
	for status, want := range map[string]error{
		"486 Busy Here": call.ErrRejected, "600 Busy Everywhere": call.ErrRejected, "603 Decline": call.ErrRejected,
		"607 Unwanted": call.ErrRejected, "480 Temporarily Unavailable": call.ErrNoAnswer, "408 Request Timeout": call.ErrNoAnswer,
		"488 Not Acceptable Here": call.ErrNoMedia, "606 Not Acceptable": call.ErrNoMedia, "503 Service Unavailable": call.ErrUnavailable,
		"500 Server Internal Error": call.ErrUnavailable, "404 Not Found": call.ErrUnreachable, "604 Does Not Exist": call.ErrUnreachable,
		"302 Moved Temporarily": call.ErrUnreachable, "407 Proxy Authentication Required": call.ErrUnreachable,
	} {
		t.Run(status[:3], func(t *testing.T) {
			st := raise(t)
			office := st.outside("udp")
			done := st.outward(t.Context(), toParks)
			invite := office.expect("INVITE ")
			office.answer(invite, status, "x", "", "Contact: <sip:+12125550199@elsewhere.invalid>",
				`Proxy-Authenticate: Digest realm="trap", nonce="1"`)
			if r := st.outcome(done); !errors.Is(r.err, want) {
				t.Errorf("Dial: %v, want %v", r.err, want)
			}
			office.expect("ACK ")
			st.empty()
			select {
			case m := <-office.in:
				t.Errorf("then came %q", m.start)
			default:
			}
		})
	}
}

func TestPartnerRingsTooLong(t *testing.T) {
	st := raise(t)
	office := st.outside("udp")
	done := st.outward(t.Context(), call.Outward{Partner: "parks", Ring: 50 * time.Millisecond})
	invite := office.expect("INVITE ")
	office.remember(invite)
	office.say(invite, "180 Ringing", "")
	if r := st.outcome(done); !errors.Is(r.err, call.ErrNoAnswer) {
		t.Errorf("Dial: %v", r.err)
	}
	cancel := office.expect("CANCEL sip:desk@parks.example SIP/2.0")
	if cancel.get("via") != invite.get("via") || cancel.get("reason") != "Q.850;cause=19" {
		t.Errorf("CANCEL %v", cancel.headers)
	}
	office.say(invite, "200 OK", phoneAnswer) // they lifted the receiver at this very moment
	office.say(cancel, "200 OK", "")
	office.expect("ACK ")
	office.say(office.expect("BYE "), "200 OK", "")
	st.empty()
}

// TestDialIsGivenUp ends ctx at each moment.
func TestDialIsGivenUp(t *testing.T) {
	for _, moment := range []string{"before", "unheard", "trying", "answered"} {
		t.Run(moment, func(t *testing.T) {
			st := raise(t)
			office := st.outside("udp")
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if moment == "before" {
				leave()
				if r := st.outcome(st.outward(ctx, toParks)); !errors.Is(r.err, context.Canceled) {
					t.Errorf("Dial: %v", r.err)
				}
				st.empty()
				return
			}
			done := st.outward(ctx, toParks)
			invite := office.expect("INVITE ")
			office.remember(invite)
			switch moment {
			case "unheard":
				leave()
				if r := st.outcome(done); !errors.Is(r.err, context.Canceled) {
					t.Errorf("Dial: %v", r.err)
				}
				office.say(invite, "100 Trying", "") // only now may it be cancelled
				office.say(office.until("CANCEL "), "200 OK", "")
				office.say(invite, "487 Request Terminated", "")
				office.until("ACK ")
			case "trying":
				office.say(invite, "100 Trying", "")
				leave()
				office.say(office.until("CANCEL "), "200 OK", "")
				if r := st.outcome(done); !errors.Is(r.err, context.Canceled) {
					t.Errorf("Dial: %v", r.err)
				}
				office.say(invite, "487 Request Terminated", "")
				office.until("ACK ")
			case "answered": // too late: the leg is there, and whoever asked has to hang it up
				office.say(invite, "200 OK", phoneAnswer)
				office.until("ACK ")
				r := st.outcome(done)
				if r.err != nil {
					t.Fatal(r.err)
				}
				leave()
				r.leg.HangUp(call.CauseNormal)
				office.say(office.until("BYE "), "200 OK", "")
			}
			st.empty()
		})
	}
}

// TestPartnerIsNotThere wants the error at once, and nothing of the number in its text.
func TestPartnerIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	st := raise(t, func(_ *Config, d *Deps) { d.Egress = handles{"hdl_1": full(t, "+12125550142")} })
	st.outside("udp", func(trunk *Trunk) { trunk.Proxy = "tcp://" + l.Addr().String() })
	r := st.outcome(st.outward(t.Context(), call.Outward{Handle: "hdl_1", Ring: patienceOfTests}))
	if !errors.Is(r.err, call.ErrUnreachable) || strings.Contains(fmt.Sprint(r.err), "5550142") {
		t.Errorf("Dial: %v", r.err)
	}
	st.empty()
}

// TestFaultsDoNotQuoteTheRequest has the transport fail under a request that names a number.
func TestFaultsDoNotQuoteTheRequest(t *testing.T) {
	quoted := fmt.Errorf("fail to write request req=%q: %w", "INVITE sip:+12125550142@x SIP/2.0", &net.OpError{Op: "write", Err: net.ErrClosed})
	for _, err := range []error{quoted, errors.New("sip:+12125550142@x"), fmt.Errorf("sip:+12125550142@x: %w", context.Canceled)} {
		if got := unquoted(err).Error(); strings.Contains(got, "5550142") {
			t.Error(got)
		}
	}
	if !errors.Is(unquoted(quoted), net.ErrClosed) {
		t.Error("what the system said is lost")
	}
}

func TestFaultyDirectories(t *testing.T) {
	ok := Trunk{ID: "out", Proxy: "udp://192.0.2.1:5060"}
	parks := Partner{City: "demo", ID: "parks", Kind: call.PartnerCity, URI: "sip:desk@parks.example", Trunk: "out"}
	with := func(change func(*Partner)) Config {
		p := parks
		change(&p)
		return Config{Partners: []Partner{p}}
	}
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"no such trunk":          {with(func(p *Partner) { p.Trunk = "x" }), "no trunk"},
		"a trunk without proxy":  {with(func(p *Partner) { p.Trunk = "in" }), "no proxy"},
		"no kind":                {with(func(p *Partner) { p.Kind = "friend" }), "kind"},
		"no URI":                 {with(func(p *Partner) { p.URI = "parks" }), "URI"},
		"an e-mail address":      {with(func(p *Partner) { p.URI = "mailto:a@b.example" }), "want sip:"},
		"a local number":         {with(func(p *Partner) { p.URI = "tel:5550177" }), "want sip:"},
		"headers in the URI":     {with(func(p *Partner) { p.URI = "sip:a@b.example?Subject=x" }), "want sip:"},
		"911 for a utility":      {with(func(p *Partner) { p.URI = "urn:service:sos" }), "want sip:"},
		"two of one name":        {Config{Partners: []Partner{parks, parks}}, "two of that name"},
		"a city twice":           {Config{Cities: []City{{ID: "demo"}, {ID: "demo"}}}, "two of that name"},
		"a city's local number":  {Config{Cities: []City{{ID: "demo", Number: "311"}}}, "own number"},
		"call-backs by no trunk": {Config{Cities: []City{{ID: "demo", Callbacks: "x"}}}, "call-backs"},
	} {
		if _, err := newDirectory(c.cfg, &trunks{all: []Trunk{ok, {ID: "in"}}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range []string{"udp://host:5060", "tls://192.0.2.1:5061", "192.0.2.1:5060", "udp://0.0.0.0:5060", "udp://192.0.2.1:0"} {
		if _, err := parseProxy(s); err == nil {
			t.Errorf("proxy %q was taken", s)
		}
	}
}
