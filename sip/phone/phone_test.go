package phone

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tester builds phones for one test, each at 127.0.0.1 with a port of its own.
func newPhone(t *testing.T, cfg Config) *Phone {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	p, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error("close:", err)
		}
		if n := p.engine.PortsLeased(); n != 0 {
			t.Errorf("%d ports are still leased", n)
		}
	})
	return p
}

// serve lets p take calls until the test is over; the calls are told on the channel when they ring.
func serve(t *testing.T, p *Phone, policy Policy) <-chan *Call {
	t.Helper()
	calls := make(chan *Call, 16)
	policy.Ring = func(c *Call) { calls <- c }
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := p.Serve(ctx, policy); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); serving.Wait() })
	for { // until somebody is at the phone
		p.mu.Lock()
		there := p.policy != nil
		p.mu.Unlock()
		if there {
			return calls
		}
		time.Sleep(time.Millisecond)
	}
}

const limit = 10 * time.Second

func dial(t *testing.T, ctx context.Context, p *Phone, uri string, o Options) *Call {
	t.Helper()
	c, err := p.Dial(ctx, uri, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// expect reads events until one of type E.
func expect[E Event](t *testing.T, c *Call) E {
	t.Helper()
	late := time.After(limit)
	for {
		select {
		case ev, ok := <-c.Events():
			if got, is := ev.(E); is {
				return got
			}
			if !ok {
				var want E
				t.Fatalf("the call is over (%+v) and there was no %T", c.End(), want)
			}
		case <-late:
			var want E
			t.Fatalf("no %T", want)
		}
	}
}

// got takes a call from the channel.
func got(t *testing.T, calls <-chan *Call) *Call {
	t.Helper()
	select {
	case c := <-calls:
		return c
	case <-time.After(limit):
		t.Fatal("nothing rang")
		return nil
	}
}

// hears waits until most of what a call hears is that tone, or until nothing is heard for hertz 0.
func hears(t *testing.T, c *Call, hertz float64) {
	t.Helper()
	end := time.Now().Add(limit)
	var power float64
	for time.Now().Before(end) {
		if power = c.Power(hertz)[0]; power > 0.9 && c.Frames() >= 25 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%v Hz: only %.3f of the power (%d frames)", hertz, power, c.Frames())
}

func hangUp(t *testing.T, c *Call) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := c.HangUp(ctx); err != nil {
		t.Error(err)
	}
}

func TestTwoPhones(t *testing.T) {
	for name, c := range map[string]struct {
		transport string
		late      bool
		calleeEnd bool
	}{
		"udp": {"udp", false, false}, "tcp": {"tcp", false, true}, "late offer": {"udp", true, true}, "late offer tcp": {"tcp", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			callee := newPhone(t, Config{Transport: c.transport, User: "ben"})
			calls := serve(t, callee, Policy{Audio: Audio{Tone: 880}, AutoAnswer: 50 * time.Millisecond})
			caller := newPhone(t, Config{Transport: c.transport, User: "ana"})
			out := dial(t, t.Context(), caller, callee.URI(), Options{Display: "Ana", LateOffer: c.late, Audio: Audio{Tone: 440}})
			in := got(t, calls)
			expect[Ringing](t, out)
			expect[Answered](t, out)
			expect[Answered](t, in)
			hears(t, out, 880)
			hears(t, in, 440)
			expect[Heard](t, out)
			if q := out.Quality(); q.Received == 0 || q.Sent == 0 || q.Codec != "PCMU" {
				t.Errorf("quality %+v", q)
			}
			if !strings.Contains(in.Invite(), "Ana") || !strings.Contains(in.Header("From"), "sip:ana@") {
				t.Errorf("the INVITE is not shown:\n%s", in.Invite())
			}
			ends, other := out, in
			if c.calleeEnd {
				ends, other = in, out
			}
			hangUp(t, ends)
			if e := expect[Ended](t, ends); e.By != Us {
				t.Errorf("who hung up sees %+v", e)
			}
			if e := expect[Ended](t, other); e.By != Them || e.Status != 0 {
				t.Errorf("the other sees %+v", e)
			}
			if q := out.Quality(); q.Received == 0 {
				t.Errorf("quality after the end: %+v", q)
			}
		})
	}
}

func TestEcho(t *testing.T) {
	callee := newPhone(t, Config{})
	serve(t, callee, Policy{Audio: Audio{Echo: true}})
	out := dial(t, t.Context(), newPhone(t, Config{}), callee.URI(), Options{Audio: Audio{Tone: 620}})
	expect[Answered](t, out)
	hears(t, out, 620)
	hangUp(t, out)
}

func TestCancel(t *testing.T) {
	for name, late := range map[string]bool{"ringing": true, "at once": false} {
		t.Run(name, func(t *testing.T) {
			callee := newPhone(t, Config{})
			calls := serve(t, callee, Policy{Ignore: true})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out := dial(t, ctx, newPhone(t, Config{}), callee.URI(), Options{})
			if late {
				expect[Ringing](t, out)
			}
			cancel()
			if e := expect[Ended](t, out); e.By != Us || e.Status != 487 {
				t.Errorf("the caller sees %+v", e)
			}
			if e := expect[Ended](t, got(t, calls)); e.By != Them {
				t.Errorf("the callee sees %+v", e)
			}
		})
	}
}

func TestHangUpWhileRinging(t *testing.T) {
	callee := newPhone(t, Config{})
	calls := serve(t, callee, Policy{Ignore: true})
	out := dial(t, t.Context(), newPhone(t, Config{}), callee.URI(), Options{})
	in := got(t, calls)
	hangUp(t, in)
	if e := expect[Ended](t, out); e.By != Them || e.Status != 603 {
		t.Errorf("%+v", e)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		policy *Policy
		want   int
	}{
		"nobody there": {nil, 480}, "busy": {&Policy{Reject: 486}, 486}, "declined": {&Policy{Reject: 603, AutoAnswer: 50 * time.Millisecond}, 603},
	} {
		t.Run(name, func(t *testing.T) {
			callee := newPhone(t, Config{})
			if c.policy != nil {
				serve(t, callee, *c.policy)
			}
			out := dial(t, t.Context(), newPhone(t, Config{}), callee.URI(), Options{})
			if e := expect[Ended](t, out); e.By != Them || e.Status != c.want {
				t.Errorf("%+v, want %d", e, c.want)
			}
		})
	}
}

func TestOneCallAtATime(t *testing.T) {
	callee := newPhone(t, Config{})
	serve(t, callee, Policy{})
	caller := newPhone(t, Config{})
	first := dial(t, t.Context(), caller, callee.URI(), Options{})
	expect[Answered](t, first)
	second := dial(t, t.Context(), caller, callee.URI(), Options{})
	if e := expect[Ended](t, second); e.Status != 486 {
		t.Errorf("%+v", e)
	}
	hangUp(t, first)
	for { // the callee may take a moment
		third := dial(t, t.Context(), caller, callee.URI(), Options{})
		if ev := <-third.Events(); ev == nil {
			t.Fatal("no event")
		}
		select {
		case <-third.Done():
			continue
		case <-time.After(300 * time.Millisecond):
			hangUp(t, third)
			return
		}
	}
}

func TestHoldAndResume(t *testing.T) {
	callee := newPhone(t, Config{})
	calls := serve(t, callee, Policy{Audio: Audio{Tone: 880}})
	out := dial(t, t.Context(), newPhone(t, Config{}), callee.URI(), Options{Audio: Audio{Tone: 440}})
	in := got(t, calls)
	hears(t, in, 440)
	hears(t, out, 880)
	for side, pair := range map[string][2]*Call{"caller": {out, in}, "callee": {in, out}} {
		holder, other := pair[0], pair[1]
		if err := holder.Hold(t.Context()); err != nil {
			t.Fatal(side, err)
		}
		if e := expect[Held](t, other); !e.Held {
			t.Error(side, "hold is not seen")
		}
		before := holder.Frames()
		time.Sleep(100 * time.Millisecond)
		if after := holder.Frames(); after > before+2 { // one or two were on their way
			t.Errorf("%s: heard %d frames on hold", side, after-before)
		}
		if err := holder.Resume(t.Context()); err != nil {
			t.Fatal(side, err)
		}
		if e := expect[Held](t, other); e.Held {
			t.Error(side, "resume is not seen")
		}
		before, otherBefore := holder.Frames(), other.Frames()
		end := time.Now().Add(limit)
		for holder.Frames() < before+5 || other.Frames() < otherBefore+5 {
			if time.Now().After(end) {
				t.Fatal(side, "no sound after resume")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	hangUp(t, out)
	if err := out.Hold(t.Context()); !errors.Is(err, ErrEnded) {
		t.Errorf("hold after the end: %v", err)
	}
}

func TestDigits(t *testing.T) {
	callee := newPhone(t, Config{})
	calls := serve(t, callee, Policy{Audio: Audio{Tone: 880}})
	out := dial(t, t.Context(), newPhone(t, Config{}), callee.URI(), Options{DTMF: "31*#"})
	in := got(t, calls)
	var keys string
	for range 4 {
		keys += string(expect[Digit](t, in).Key)
	}
	if keys != "31*#" {
		t.Errorf("keys %q", keys)
	}
	if err := in.SendDigits("9"); err != nil {
		t.Error(err)
	}
	if e := expect[Digit](t, out); e.Key != '9' {
		t.Errorf("%+v", e)
	}
	hangUp(t, out)
	if err := out.SendDigits("1"); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
}

func TestRecordAndCapture(t *testing.T) {
	var mu sync.Mutex
	var raw bytes.Buffer
	callee := newPhone(t, Config{Capture: func(b []byte) { mu.Lock(); defer mu.Unlock(); raw.Write(b) }})
	calls := serve(t, callee, Policy{})
	out := dial(t, t.Context(), newPhone(t, Config{User: "ana"}), callee.URI(), Options{
		Audio: Audio{Tone: 440}, Asserted: "tel:+12125550142", Headers: map[string]string{"X-Kit": "canary"}, Withheld: true,
	})
	in := got(t, calls)
	path := filepath.Join(t.TempDir(), "heard.wav")
	if err := in.Record(path); err != nil {
		t.Fatal(err)
	}
	hears(t, in, 440)
	hangUp(t, out)
	<-in.Done()
	mu.Lock()
	text := raw.String()
	mu.Unlock()
	for _, want := range []string{"P-Asserted-Identity: <tel:+12125550142>", "X-Kit: canary", "Privacy: id", "anonymous.invalid", "BYE sip:"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s was not captured in\n%s", want, text)
		}
	}
	wav, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(wav) < 8000 || string(wav[:4]) != "RIFF" || int(binary.LittleEndian.Uint32(wav[40:])) != len(wav)-44 {
		t.Errorf("%d bytes of WAV, header %q", len(wav), wav[:min(44, len(wav))])
	}
}

func TestNobodyAnswers(t *testing.T) {
	p := newPhone(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	c := dial(t, ctx, p, "sip:311@127.0.0.1:9", Options{})
	cancel()
	done := make(chan struct{})
	go func() { defer close(done); p.Close() }() // which gives up waiting for an answer
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatal("close hangs on a call that nobody answers")
	}
	if e := c.End(); e.By != Us {
		t.Errorf("%+v", e)
	}
}

func TestDialFaults(t *testing.T) {
	p := newPhone(t, Config{})
	for uri, o := range map[string]Options{
		"sip:":             {},
		"sip:a@127.0.0.1":  {Audio: Audio{File: "/nonexistent.wav"}},
		"sip:b@127.0.0.1":  {From: "sip:[@"},
		"sip:[c@127.0.0.1": {},
	} {
		if c, err := p.Dial(t.Context(), uri, o); err == nil {
			t.Errorf("%s %+v: no error", uri, o)
			hangUp(t, c)
		}
	}
	for _, cfg := range []Config{{}, {Listen: "0.0.0.0:0"}, {Listen: "127.0.0.1:0", Transport: "sctp"}, {Listen: "nonsense"}} {
		if p, err := New(cfg, slog.Default()); err == nil {
			t.Errorf("%+v: no error", cfg)
			p.Close()
		}
	}
}
