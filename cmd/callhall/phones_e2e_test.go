package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"callhall/call"
	"callhall/media"
	"callhall/sip/phone"
)

// stage is one scene of a test: the phones in it, which are put away before anything is counted.
type stage struct {
	*node
	t    *testing.T
	away []func()
}

func (n *node) stage(t *testing.T) *stage {
	s := &stage{node: n, t: t}
	t.Cleanup(s.clear)
	return s
}

// clear puts all phones away, the last first. It may be called twice.
func (s *stage) clear() {
	for _, f := range slices.Backward(s.away) {
		f()
	}
	s.away = nil
}

// phone opens a phone at that address. Its engine is the caller's to close early, as a phone that dies does.
func (s *stage) phone(host string, cfg phone.Config) (*phone.Phone, *media.Engine) {
	s.t.Helper()
	engine, err := media.Open(media.Config{Addr: netip.MustParseAddr(host), PortMin: 40000, PortMax: 49999, Loops: 1, Deaf: -1})
	must(s.t, err)
	cfg.Listen, cfg.Server, cfg.Media = host+":0", s.sipHost("udp"), engine
	p, err := phone.New(cfg, slog.New(slog.DiscardHandler))
	must(s.t, err)
	s.away = append(s.away, func() {
		if err := errors.Join(p.Close(), engine.Close()); err != nil {
			s.t.Errorf("put a phone away: %v", err)
		}
	})
	return p, engine
}

// line is one call as one of its phones sees it.
type line struct {
	*phone.Call
	t      *testing.T
	phone  *phone.Phone
	engine *media.Engine
	cancel context.CancelFunc // of a caller's; nil at a desk
	id     call.ID
}

// dial calls number from 127.0.0.1.
func (s *stage) dial(number string) *line {
	s.t.Helper()
	return s.dialFrom("127.0.0.1", number, phone.Options{From: "+12125550142", Asserted: "sip:+12125550142@carrier.example", Audio: phone.Audio{Tone: 440}})
}

// dialFrom calls number from an address of this machine.
func (s *stage) dialFrom(host, number string, o phone.Options) *line {
	s.t.Helper()
	p, engine := s.phone(host, phone.Config{})
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	s.away = append(s.away, cancel)
	c, err := p.Dial(ctx, "sip:"+number+"@"+s.sipHost("udp"), o)
	must(s.t, err)
	return &line{Call: c, t: s.t, phone: p, engine: engine, cancel: cancel}
}

// desk is an agent's phone.
type desk struct {
	*phone.Phone
	t      *testing.T
	engine *media.Engine
	rings  chan *phone.Call
}

// agent registers a phone of that agent and does with calls as policy says. It returns when the agent is registered.
func (s *stage) agent(id string, policy phone.Policy) *desk {
	s.t.Helper()
	p, engine := s.phone("127.0.0.1", phone.Config{User: id, Password: "secret of " + id})
	d := &desk{Phone: p, t: s.t, engine: engine, rings: make(chan *phone.Call, 16)}
	policy.Ring = func(c *phone.Call) { d.rings <- c }
	if policy.Audio == (phone.Audio{}) {
		policy.Audio = phone.Audio{Tone: 880}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	var loops sync.WaitGroup
	loops.Go(func() {
		for p.Serve(ctx, policy) != nil && ctx.Err() == nil { // isServed was there first, for a moment
		}
	})
	within(s.t, soon, func() error { return isServed(p) })
	up := make(chan error, 1)
	loops.Go(func() {
		err := p.Register(ctx, func(time.Time) {
			select {
			case up <- nil:
			default:
			}
		})
		if err != nil {
			up <- err
		}
	})
	s.away = append(s.away, func() { cancel(); loops.Wait() })
	select {
	case err := <-up:
		must(s.t, err)
	case <-time.After(soon):
		s.t.Fatalf("agent %s is not registered", id)
	}
	return d
}

// isServed tells whether somebody is at the phone: a phone that is registered before turns callers away with 480.
func isServed(p *phone.Phone) error {
	past, cancel := context.WithCancel(context.Background())
	cancel()
	if p.Serve(past, phone.Policy{}) == nil {
		return errors.New("nobody is at the phone")
	}
	return nil
}

// answers is an agent who takes every call.
func answers() phone.Policy { return phone.Policy{AutoAnswer: time.Millisecond} }

// ignores is an agent who lets it ring.
func ignores() phone.Policy { return phone.Policy{Ignore: true} }

// ring waits for the next call at the desk.
func (d *desk) ring() *line {
	d.t.Helper()
	select {
	case c := <-d.rings:
		return &line{Call: c, t: d.t, phone: d.Phone, engine: d.engine}
	case <-time.After(soon):
		d.t.Fatal("the agent's phone does not ring")
		return nil
	}
}

// await waits for an event of that kind which want takes; those before it have been told then.
func await[E phone.Event](l *line, what string, want func(E) bool) E {
	l.t.Helper()
	deadline := time.After(soon)
	for {
		select {
		case ev, open := <-l.Events():
			if news, ok := ev.(phone.News); ok && news.Call != "" {
				l.id = call.ID(news.Call)
			}
			if e, ok := ev.(E); ok && want(e) {
				return e
			}
			if !open {
				l.t.Fatalf("the call ended (%+v) before %s", l.End(), what)
			}
		case <-deadline:
			l.t.Fatalf("not within %v: %s", soon, what)
		}
	}
}

func anyEvent[E phone.Event](E) bool { return true }

func (l *line) answered() *line {
	l.t.Helper()
	await(l, "an answer", anyEvent[phone.Answered])
	return l
}

func (l *line) heard() *line { l.t.Helper(); await(l, "sound", anyEvent[phone.Heard]); return l }

func (l *line) queued() *line {
	l.t.Helper()
	await(l, "a place in line", func(n phone.News) bool { return n.Place > 0 })
	return l
}

// served waits for an agent and says which.
func (l *line) served() string {
	l.t.Helper()
	return await(l, "an agent", func(n phone.News) bool { return n.Agent != "" }).Agent
}

// over waits for the end.
func (l *line) over() phone.Ended {
	l.t.Helper()
	select {
	case <-l.Done():
		return l.End()
	case <-time.After(soon):
		l.t.Fatal("the call does not end")
		return phone.Ended{}
	}
}

// hangUp ends the call from this side. A caller's phone is closed, which waits until its BYE was answered: nobody else
// in the call can be quicker then.
func (l *line) hangUp() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	must(l.t, l.HangUp(ctx))
	if l.cancel != nil {
		must(l.t, l.phone.Close())
	}
}

// hears waits until most of the last second's sound lies at that tone.
func (l *line) hears(hertz float64) *line {
	l.t.Helper()
	within(l.t, soon, func() error {
		if share := l.Power(hertz)[0]; share < 0.5 {
			return fmt.Errorf("%.0f Hz has %.2f of the power heard", hertz, share)
		}
		return nil
	})
	return l
}
