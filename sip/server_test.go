package sip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"callhall/ani"
	"callhall/call"
	"callhall/media"
)

func TestStrangersAreTurnedAway(t *testing.T) {
	st := raise(t)
	d := st.dial("udp", "127.0.0.2:0").ready()
	d.invite(pcmuOffer)
	m := d.expect("SIP/2.0 403")
	d.send("%s\n\n%s", d.request("INVITE", d.inviteBranch, d.seq, "Content-Type: application/sdp"), pcmuOffer)
	if again := d.expect("SIP/2.0 403"); again.tag("to") != m.tag("to") || m.tag("to") == "" {
		t.Errorf("tags %q and %q: an answer without state is always the same", m.tag("to"), again.tag("to"))
	}
	d.send("%s\n\n", d.request("CANCEL", d.inviteBranch, d.seq))
	d.expect("SIP/2.0 481")
	select {
	case m := <-d.in: // nothing is repeated towards a source that may be forged
		t.Errorf("then came %q", m.start)
	case <-time.After(700 * time.Millisecond): // sipgo's T1 is 500 ms
	}
	st.empty()
}

func TestUnknownEntry(t *testing.T) {
	st := raise(t)
	for _, dialled := range []string{"sip:312@127.0.0.1", "sip:127.0.0.1", "tel:+12125550199"} {
		d := st.caller().ready()
		d.target = dialled
		d.invite(pcmuOffer)
		d.remoteTag = d.expect("SIP/2.0 404").tag("to")
		d.ack(d.inviteBranch, "")
	}
	st.empty()
}

func TestBadOfferIsNoCall(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite("v=0\nnonsense\n")
	d.expect("SIP/2.0 400")
	st.empty()
}

func TestDrain(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	st.Drain()
	late := st.caller().ready()
	late.invite(pcmuOffer)
	if m := late.expect("SIP/2.0 503"); m.get("retry-after") == "" {
		t.Error("503 without Retry-After")
	}
	if m := late.do("OPTIONS", ""); !strings.HasPrefix(m.start, "SIP/2.0 503") {
		t.Errorf("OPTIONS: %q", m.start)
	}
	if m := d.do("OPTIONS", ""); m.start != "SIP/2.0 200 OK" {
		t.Errorf("OPTIONS in a dialog: %q", m.start)
	}
	d.do("BYE", "")
	event[call.LegEnded](c)
	st.empty()
}

func TestOverload(t *testing.T) {
	st := raise(t, func(c *Config, _ *Deps) { c.MaxLegs = 1 })
	d, c := st.talk(st.caller())
	late := st.caller().ready()
	late.invite(pcmuOffer)
	late.expect("SIP/2.0 503")
	if m := late.do("OPTIONS", ""); m.start != "SIP/2.0 200 OK" {
		t.Errorf("OPTIONS: %q", m.start)
	}
	d.do("BYE", "")
	event[call.LegEnded](c)
	st.empty()
}

func TestNews(t *testing.T) {
	st := raise(t)
	d := st.caller().ready()
	d.invite(pcmuOffer, "Recv-Info: weather, callhall-progress")
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Leg.Tell(call.News{Call: c.ID})
	c.Leg.Tell(call.News{Queue: "general", Place: 2})
	c.Leg.Tell(call.News{Agent: "ana", Recorded: true})
	ok := d.expect("SIP/2.0 200") // no INFO before the ACK
	d.accept(ok, "")
	for _, want := range []string{`{"call":"` + string(c.ID) + `"}`, `{"queue":"general","place":2}`, `{"agent":"ana","recorded":true}`} {
		info := d.until("INFO ")
		if info.body != want || !json.Valid([]byte(info.body)) || info.get("info-package") != "callhall-progress" || info.get("content-type") != "application/json" {
			t.Errorf("news %v %s, want %s", info.headers, info.body, want)
		}
		d.say(info, "200 OK", "")
	}
	d.do("BYE", "")
	event[call.LegEnded](c)
	c.Leg.Tell(call.News{Place: 1})
	st.empty()
}

func TestNoNewsForThoseWhoDoNotAsk(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	c.Leg.Tell(call.News{Place: 1})
	if m := d.do("OPTIONS", ""); m.start != "SIP/2.0 200 OK" { // an INFO would have come before
		t.Errorf("%q", m.start)
	}
	d.do("BYE", "")
	event[call.LegEnded](c)
}

func TestSilence(t *testing.T) {
	st := raise(t, func(c *Config, _ *Deps) { c.SilenceLimit = 120 * time.Millisecond })
	d, c := st.talk(st.caller())
	if ended := event[call.LegEnded](c); ended.Cause != call.CauseSilent {
		t.Errorf("%+v", ended)
	}
	if bye := d.until("BYE "); bye.get("reason") != "Q.850;cause=102" {
		t.Errorf("Reason: %s", bye.get("reason"))
	}
	st.empty()
}

func TestSilenceOnHoldIsNoFault(t *testing.T) {
	st := raise(t, func(c *Config, _ *Deps) { c.SilenceLimit = time.Second })
	d, c := st.talk(st.caller())
	d.invite(offerOf(2, "sendonly", "IN IP4 127.0.0.1", "0 101"))
	d.accept(d.until("SIP/2.0 200"), "")
	event[call.LegHeld](c)
	select {
	case ev := <-c.in.Events():
		t.Fatalf("on hold came %T%+v", ev, ev)
	case <-time.After(1500 * time.Millisecond):
	}
	d.invite(offerOf(3, "sendrecv", "IN IP4 127.0.0.1", "0 101"))
	d.accept(d.until("SIP/2.0 200"), "")
	event[call.LegHeld](c)
	if ended := event[call.LegEnded](c); ended.Cause != call.CauseSilent { // back, and still nothing
		t.Errorf("%+v", ended)
	}
	st.empty()
}

func TestPlayedIsToldOnce(t *testing.T) {
	st := raise(t)
	d, c := st.talk(st.caller())
	if err := c.Leg.Play(call.Prompt{Name: "no such sound", Language: "en"}); err == nil {
		t.Error("played what is not there")
	}
	if err := c.Leg.Play(call.Prompt{Name: "hold", Language: "en", Loop: true}); err != nil {
		t.Fatal(err)
	}
	prompt := call.Prompt{Name: "resume", Language: "es"}
	if err := c.Leg.Play(prompt); err != nil {
		t.Fatal(err)
	}
	select {
	case ev := <-c.in.Events():
		if played, ok := ev.(call.Played); !ok || played.Prompt != prompt || played.Leg != "caller" {
			t.Errorf("%T%+v", ev, ev)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the prompt was never heard")
	}
	d.do("BYE", "")
	event[call.LegEnded](c)
	if err := c.Leg.Play(prompt); err == nil {
		t.Error("played to a leg that has ended")
	}
}

func TestShutdownHangsUp(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	st := raise(t)
	d, c := st.talk(st.caller())
	go func() {
		c.Leg.HangUp(call.CauseUnavailable)
		c.end()
	}()
	d.say(d.until("BYE "), "200 OK", "")
	st.stop()
	if st.Legs() != 0 || st.media.PortsLeased() != 0 {
		t.Errorf("%d legs, %d ports are left", st.Legs(), st.media.PortsLeased())
	}
	d.conn.Close()
}

func TestConfigFaults(t *testing.T) {
	for _, listen := range []string{"", "udp:127.0.0.1", "ws://127.0.0.1:0", "udp://localhost:0", "udp://0.0.0.0:0"} {
		s, err := New(Config{Listen: strings.Fields(listen)}, Deps{Log: testLog(t)})
		if err == nil {
			t.Errorf("%q is listened on as %v", listen, s.Addrs())
		}
	}
}

func TestNewMayBeTriedAgain(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	deps := Deps{Log: testLog(t), Registry: prometheus.NewRegistry(), Agents: noAgents{}, Presence: noPresence{}}
	free := "tcp://127.0.0.1:0"
	if _, err := New(Config{Listen: []string{free, "udp://" + taken.LocalAddr().String()}}, deps); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("on a port that is taken: %v", err)
	}
	s, err := New(Config{Listen: []string{free, "udp://127.0.0.1:0"}}, deps)
	if err != nil {
		t.Fatal(err)
	}
	s.finish()
}

func TestAdvertise(t *testing.T) {
	st := raise(t, func(c *Config, _ *Deps) { c.Advertise = netip.MustParseAddr("192.0.2.9") })
	d := st.caller().ready()
	d.invite(pcmuOffer)
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	ok := d.expect("SIP/2.0 200")
	if !strings.Contains(ok.get("contact"), "@192.0.2.9:") || !strings.Contains(ok.body, "c=IN IP4 192.0.2.9\r\n") {
		t.Errorf("%s\n%s", ok.get("contact"), ok.body)
	}
	d.accept(ok, "")
	c.Leg.HangUp(call.CauseNormal)
	if bye := d.until("BYE "); !strings.Contains(bye.get("via"), "192.0.2.9:") {
		t.Errorf("Via: %s", bye.get("via"))
	}
}

func TestWildcardListener(t *testing.T) {
	st := raise(t, func(c *Config, _ *Deps) {
		c.Listen, c.Advertise = []string{"udp://0.0.0.0:0", "tcp://0.0.0.0:0"}, netip.MustParseAddr("127.0.0.1")
	})
	for _, network := range []string{"udp", "tcp"} {
		d, c := st.talk(st.dial(network, "127.0.0.1:0"))
		c.Leg.HangUp(call.CauseNormal)
		bye := d.until("BYE ")
		_, port, _ := net.SplitHostPort(st.addr(network))
		if want := strings.ToUpper(network) + " 127.0.0.1:" + port + ";"; !strings.Contains(bye.get("via"), want) {
			t.Errorf("Via: %s, want %s", bye.get("via"), want)
		}
		d.say(bye, "200 OK", "")
		st.empty()
	}
}

func TestCallerBehindNAT(t *testing.T) {
	st := raise(t, func(c *Config, _ *Deps) { c.Trunks[0].NATLearn = true })
	d := st.caller().ready()
	d.contact = "sip:peer@192.0.2.77:5060" // where nobody can reach it
	d.invite(strings.Replace(pcmuOffer, "c=IN IP4 127.0.0.1", "c=IN IP4 192.0.2.77", 1))
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.accept(d.expect("SIP/2.0 200"), "")
	voice, err := net.Dial("udp", c.Leg.(*callerLeg).sound().Local().String())
	if err != nil {
		t.Fatal(err)
	}
	defer voice.Close()
	packet := append([]byte{0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9}, make([]byte, 160)...)
	eventually(t, func() string {
		packet[3]++
		if _, err := voice.Write(packet); err != nil {
			return err.Error()
		}
		if c.Leg.Quality().Received == 0 {
			return "its sound is not heard"
		}
		return ""
	})
	c.Leg.HangUp(call.CauseNormal)
	bye := d.expect("BYE sip:peer@192.0.2.77:5060 ") // came by the flow all the same
	d.say(bye, "200 OK", "")
	st.empty()
}

// TestJoinedLegsHearEachOther takes sound across, both ways.
func TestJoinedLegsHearEachOther(t *testing.T) {
	st := raise(t)
	ears := map[string]*net.UDPConn{}
	for _, who := range []string{"caller", "agent"} {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ears[who] = conn
	}
	at := func(sdp, who string) string {
		port := strconv.Itoa(ears[who].LocalAddr().(*net.UDPAddr).Port)
		return strings.NewReplacer("40000", port, "41000", port).Replace(sdp)
	}
	d := st.caller().ready()
	d.invite(at(pcmuOffer, "caller"))
	c := st.call()
	if err := c.Leg.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.accept(d.expect("SIP/2.0 200"), "")
	phone := st.phone("udp")
	ringing := st.ring(t.Context(), patienceOfTests)
	invite := phone.expect("INVITE ")
	phone.remember(invite)
	phone.say(invite, "200 OK", at(phoneAnswer, "agent"))
	agent := st.outcome(ringing)
	if agent.err != nil {
		t.Fatal(agent.err)
	}
	if err := c.Leg.Join(agent.leg); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"caller": "agent", "agent": "caller"} {
		leg := map[string]call.Leg{"caller": c.Leg, "agent": agent.leg}[from]
		port := leg.(party).common().sound().Local()
		for i := range byte(20) {
			packet := append([]byte{0x80, 0, 0, i, 0, 0, 0, i * 160, 0, 0, 0, from[0]}, strings.Repeat(from[:1], 160)...)
			if _, err := ears[from].WriteToUDPAddrPort(packet, port); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 2048)
		ears[to].SetReadDeadline(time.Now().Add(patienceOfTests))
		for {
			n, err := ears[to].Read(buf)
			if err != nil {
				t.Fatalf("%s hears nothing of the %s: %v", to, from, err)
			}
			if n == 172 && buf[12] == from[0] {
				break
			}
		}
	}
	agent.leg.HangUp(call.CauseNormal)
	phone.say(phone.until("BYE "), "200 OK", "")
	d.do("BYE", "")
	st.empty()
}

func TestGoroutinesComeHome(t *testing.T) {
	st := raise(t)
	w := st.caller()
	_, c := st.talk(w) // whatever is started once has been
	c.Leg.HangUp(call.CauseNormal)
	c.end()
	st.empty()
	before := runtime.NumGoroutine()
	for i := range 60 {
		d := w.ready()
		d.invite(pcmuOffer)
		c := st.call()
		if err := c.Leg.Answer(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.accept(d.mine("SIP/2.0 200"), "")
		if i%2 == 0 {
			c.Leg.HangUp(call.CauseNormal)
			d.say(d.mine("BYE "), "200 OK", "")
		} else {
			d.seq++
			d.send("%s\n\n", d.request("BYE", d.newBranch(), d.seq))
			event[call.LegEnded](c)
		}
		c.end()
	}
	st.empty()
	eventually(t, func() string {
		if now := runtime.NumGoroutine(); now > before {
			return fmt.Sprintf("%d goroutines, %d before", now, before)
		}
		return ""
	})
}

func TestRefusedCallsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	st := raise(t, func(_ *Config, d *Deps) { d.Registry = registry })
	stranger := st.dial("udp", "127.0.0.2:0").ready()
	stranger.invite(pcmuOffer)
	stranger.expect("SIP/2.0 403")
	d := st.caller().ready()
	d.target = "sip:999@127.0.0.1"
	d.invite(pcmuOffer)
	d.expect("SIP/2.0 404")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue()
		}
	}
	for _, want := range []string{"callhall_sip_calls_refused_total unknown-source", "callhall_sip_calls_refused_total unknown-entry",
		"callhall_sip_responses_total 4xx INVITE carrier"} {
		if got[want] != 1 {
			t.Errorf("%s is %v, want 1\n%v", want, got[want], got)
		}
	}
	if got["callhall_sip_requests_total in INVITE udp"] != 2 {
		t.Errorf("requests: %v", got)
	}
}

// A brokenVault cannot keep anything.
type brokenVault struct{ noIdentity }

func (brokenVault) Capture(_ context.Context, in ani.Incoming) (ani.Caller, error) {
	return ani.Caller{Call: in.Call, Status: call.CallerWithheld, Verstat: call.VerstatPassed}, errors.New("disk full")
}

func TestCallerIsServedThoughTheNumberIsNotKept(t *testing.T) {
	registry := prometheus.NewRegistry()
	st := raise(t, func(_ *Config, d *Deps) { d.Registry, d.Identities = registry, brokenVault{} })
	d, c := st.talk(st.caller())
	if c.Caller != call.CallerWithheld || c.Verstat != call.VerstatPassed {
		t.Errorf("arrival %+v", c.Arrival)
	}
	if n := counterOf(t, registry, "callhall_sip_identities_lost_total"); n != 1 {
		t.Errorf("%v identities lost", n)
	}
	d.do("BYE", "")
	st.empty()
}

// counterOf is the value of a counter without labels.
func counterOf(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Errorf("there is no %s", name)
	return 0
}

// TestNoPortForSound has ports for one party only.
func TestNoPortForSound(t *testing.T) {
	few, err := media.Open(media.Config{Addr: netip.MustParseAddr("127.0.0.1"), PortMin: 39000, PortMax: 39001, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer few.Close()
	var log syncBuffer
	st := raise(t, func(_ *Config, d *Deps) { d.Media, d.Log = few, slog.New(slog.NewTextHandler(&log, nil)) })
	first, _ := st.talk(st.caller())
	d := st.caller().ready()
	d.invite(pcmuOffer)
	c := st.call()
	if err := c.Leg.Answer(t.Context()); !errors.Is(err, call.ErrUnavailable) || errors.Is(err, call.ErrNoMedia) {
		t.Errorf("Answer: %v", err)
	}
	c.Leg.Refuse(call.CauseUnavailable)
	if m := d.expect("SIP/2.0 503"); m.get("retry-after") == "" {
		t.Error("503 without Retry-After")
	}
	st.phone("udp")
	if r := st.outcome(st.ring(t.Context(), patienceOfTests)); !errors.Is(r.err, call.ErrUnavailable) || errors.Is(r.err, call.ErrNoMedia) {
		t.Errorf("Ring: %v", r.err)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 2 {
		t.Errorf("%d errors logged for two failures:\n%s", n, log.String())
	}
	first.do("BYE", "")
}

// A syncBuffer may be written to and read at once.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestSipgoIsGivenOurLog(t *testing.T) {
	if st := raise(t); st.quiet == nil {
		t.Error("sipgo logs past us")
	}
}
