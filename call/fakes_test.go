package call

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fakeLeg is a party whose far side the test plays.
type fakeLeg struct {
	id          LegID
	answerErr   error
	promptLasts time.Duration // 0: noticeLength
	lost        Cause         // how the leg ended during Answer
	breaks      bool          // Quality panics

	mu      sync.Mutex
	in      *Inbox
	played  []Prompt
	hungUp  []Cause
	refused []Cause
	told    []News
	tap     Tap
	links   map[*fakeLeg]bool // whom it hears, and who hears it; guarded by patching
	misused int               // connected anew without having parted
	noSound string            // a prompt that is not there
	noMixer error             // why it cannot be in a conference
}

// patching guards the links of all legs.
var patching sync.Mutex

func (l *fakeLeg) ID() LegID        { return l.id }
func (l *fakeLeg) Attach(in *Inbox) { l.set(func() { l.in = in }) }
func (l *fakeLeg) Refuse(c Cause)   { l.set(func() { l.refused = append(l.refused, c) }) }
func (l *fakeLeg) HangUp(c Cause)   { l.set(func() { l.hungUp = append(l.hungUp, c) }) }
func (l *fakeLeg) Listen(t Tap)     { l.set(func() { l.tap = t }) }
func (l *fakeLeg) Tell(n News)      { l.set(func() { l.told = append(l.told, n) }) }
func (l *fakeLeg) Join(o Leg) error { return l.connect(o) }
func (l *fakeLeg) set(f func())     { l.mu.Lock(); defer l.mu.Unlock(); f() }

func (l *fakeLeg) Confer(others ...Leg) error {
	if l.noMixer != nil {
		return l.noMixer
	}
	return l.connect(others...)
}

func (l *fakeLeg) connect(others ...Leg) error {
	patching.Lock()
	defer patching.Unlock()
	all := []*fakeLeg{l}
	for _, o := range others {
		all = append(all, o.(*fakeLeg))
	}
	for _, a := range all {
		if len(a.links) > 0 {
			a.misused++
		}
	}
	for _, a := range all {
		a.links = map[*fakeLeg]bool{}
		for _, b := range all {
			if a != b {
				a.links[b] = true
			}
		}
	}
	return nil
}

func (l *fakeLeg) Part() {
	patching.Lock()
	defer patching.Unlock()
	for o := range l.links {
		delete(o.links, l)
	}
	clear(l.links)
}

// hears is the one whom this party hears, nil for nobody.
func (l *fakeLeg) hears() Leg {
	patching.Lock()
	defer patching.Unlock()
	for o := range l.links {
		return o
	}
	return nil
}

// unattached tells whether the call has not taken the leg yet.
func (l *fakeLeg) unattached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.in == nil
}

// gone counts how often this leg was hung up.
func (l *fakeLeg) gone() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.hungUp)
}

func (l *fakeLeg) Answer(context.Context) error {
	if l.lost != "" {
		l.ends(l.lost)
	}
	return l.answerErr
}

func (l *fakeLeg) Quality() Quality {
	if l.breaks {
		panic("broken on purpose")
	}
	return Quality{Codec: "PCMU", Received: 7}
}

// Play ends a prompt that is not looped after three seconds, as the notice does.
func (l *fakeLeg) Play(p Prompt) error {
	if p.Name != "" && p.Name == l.noSound {
		return errTest
	}
	l.set(func() { l.played = append(l.played, p) })
	if p.Name != "" && !p.Loop {
		in := l.in
		last := noticeLength
		if l.promptLasts != 0 {
			last = l.promptLasts
		}
		time.AfterFunc(last, func() {
			if l.playing() == p {
				in.Put(Played{Leg: l.id, Prompt: p})
			}
		})
	}
	return nil
}

func (l *fakeLeg) playing() Prompt {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.played) == 0 {
		return Prompt{}
	}
	return l.played[len(l.played)-1]
}

func (l *fakeLeg) tapped() Tap {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tap
}

func (l *fakeLeg) ends(c Cause) { l.says(LegEnded{l.id, c}) }

// says puts an event of this leg into the call it was attached to.
func (l *fakeLeg) says(ev Event) {
	l.mu.Lock()
	in := l.in
	l.mu.Unlock()
	in.Put(ev)
}

// fakeQueues keeps one place and lets the test offer agents to it.
type fakeQueues struct {
	admitErr, enqueueErr error
	stale                map[OfferOutcome]bool

	mu      sync.Mutex
	places  []Waiting
	place   context.Context // of the latest place
	in      *Inbox
	settled []OfferOutcome
	fence   uint64
}

func (q *fakeQueues) Admit(context.Context, CityID, QueueID) error { return q.admitErr }

func (q *fakeQueues) Enqueue(ctx context.Context, w Waiting, in *Inbox) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.enqueueErr != nil {
		return q.enqueueErr
	}
	q.places, q.place, q.in = append(q.places, w), ctx, in
	return nil
}

func (q *fakeQueues) Settle(_ context.Context, _ Offer, outcome OfferOutcome) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settled = append(q.settled, outcome)
	if q.stale[outcome] {
		return ErrStale
	}
	return nil
}

func (q *fakeQueues) offer(agent AgentID) Offer {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fence++
	o := Offer{Agent: agent, Fence: Fence{1, q.fence}, Ring: 15 * time.Second, Why: "idle longest"}
	q.in.Put(Offered{o})
	return o
}

// fakePhones rings until the test says how it ends.
type fakePhones struct {
	mu       sync.Mutex
	ringing  map[AgentID]chan Rang
	crossing Leg             // answers at the very moment of our CANCEL
	cross    func(LegID) Leg // the same, each time another
	dialling map[LegID]chan Rang
	outward  []Outward
	answered []*fakeLeg // every leg that the call was given
}

// open is who is being rung or dialled now.
func (p *fakePhones) open() (agents []AgentID, outside []LegID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.ringing)), slices.Sorted(maps.Keys(p.dialling))
}

// Dial rings somebody outside until the test says how it ends.
func (p *fakePhones) Dial(ctx context.Context, o Outward, leg LegID) (Leg, error) {
	end := make(chan Rang, 1)
	p.mu.Lock()
	p.outward = append(p.outward, o)
	p.dialling[leg] = end
	p.mu.Unlock()
	defer p.set(func() { delete(p.dialling, leg) })
	return p.wait(ctx, leg, end)
}

func (p *fakePhones) set(f func()) { p.mu.Lock(); defer p.mu.Unlock(); f() }

// reached ends the dialling of somebody outside.
func (p *fakePhones) reached(leg LegID, l Leg, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if end := p.dialling[leg]; end != nil {
		select {
		case end <- Rang{Leg: l, Err: err}:
		default: // has ended already
		}
	}
}

// dialled is how often somebody outside was dialled.
func (p *fakePhones) dialled() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.outward)
}

func (p *fakePhones) Ring(ctx context.Context, o Offer, leg LegID, _ Showing) (Leg, error) {
	end := make(chan Rang, 1)
	p.mu.Lock()
	p.ringing[o.Agent] = end
	p.mu.Unlock()
	defer p.set(func() { delete(p.ringing, o.Agent) })
	return p.wait(ctx, leg, end)
}

// wait is the end of a ringing.
func (p *fakePhones) wait(ctx context.Context, leg LegID, end <-chan Rang) (Leg, error) {
	r := p.ends(ctx, leg, end)
	if answered, ok := r.Leg.(*fakeLeg); ok {
		p.set(func() { p.answered = append(p.answered, answered) })
	}
	return r.Leg, r.Err
}

func (p *fakePhones) ends(ctx context.Context, leg LegID, end <-chan Rang) Rang {
	select {
	case r := <-end:
		return r
	case <-ctx.Done():
	}
	select {
	case r := <-end: // an answer that crossed our CANCEL
		return r
	default:
	}
	switch {
	case p.crossing != nil:
		return Rang{Leg: p.crossing}
	case p.cross != nil:
		return Rang{Leg: p.cross(leg)}
	default:
		return Rang{Err: ctx.Err()}
	}
}

func (p *fakePhones) end(agent AgentID, l Leg, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if end := p.ringing[agent]; end != nil {
		select {
		case end <- Rang{Leg: l, Err: err}:
		default: // has ended already
		}
	}
}

type fakeTap struct{ side string }

func (*fakeTap) Heard(Packet) {}

type fakeRecording struct {
	id             RecordingID
	paused, closed int
}

func (r *fakeRecording) ID() RecordingID { return r.id }
func (r *fakeRecording) Caller() Tap     { return &fakeTap{"caller"} }
func (r *fakeRecording) Agent() Tap      { return &fakeTap{"agent"} }
func (r *fakeRecording) Pause()          { r.paused++ }
func (r *fakeRecording) Resume()         { r.paused-- }
func (r *fakeRecording) Close(context.Context) (RecordingSummary, error) {
	r.closed++
	return RecordingSummary{ID: r.id, State: RecordingKept, Length: time.Second}, nil
}

type fakeRecorder struct {
	err     error
	slow    time.Duration
	started []Notice
	last    *fakeRecording
}

func (r *fakeRecorder) Start(_ context.Context, _ CityID, _ ID, n Notice) (Recording, error) {
	time.Sleep(r.slow)
	if r.err != nil {
		return nil, r.err
	}
	r.started = append(r.started, n)
	r.last = &fakeRecording{id: "rec_1"}
	return r.last, nil
}

type fakeRecords struct {
	mu           sync.Mutex
	open, closed []Record
}

func (r *fakeRecords) Open(_ context.Context, rec Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, rec)
	return nil
}

func (r *fakeRecords) Close(_ context.Context, rec Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = append(r.closed, rec)
	return nil
}

// fakePartners are those outside of the city demo.
type fakePartners struct{}

func (fakePartners) Partner(city CityID, id PartnerID) (Partner, error) {
	kinds := map[PartnerID]PartnerKind{"parks": PartnerCity, "power": PartnerPrivate, "911": PartnerPSAP, "tongues": PartnerInterpreter}
	if kind, ok := kinds[id]; ok && city == "demo" {
		return Partner{ID: id, Kind: kind}, nil
	}
	return Partner{}, ErrUnknownPartner
}

type fakePrompts struct{ err error }

func (p fakePrompts) Notice(CityID, string) (NoticeSound, error) {
	return NoticeSound{Prompt: Prompt{Name: "notice", Language: "en"}, Length: noticeLength,
		Proof: Notice{Prompt: "notice", Language: "en", SHA256: "ab"}}, p.err
}

// longNotice is a notice of forty seconds.
type longNotice struct{}

func (longNotice) Notice(CityID, string) (NoticeSound, error) {
	return NoticeSound{Prompt: Prompt{Name: "notice", Language: "en"}, Length: 40 * time.Second, Proof: Notice{Prompt: "notice"}}, nil
}

// noticeLength is how long the fakes' prompts last.
const noticeLength = 3 * time.Second

// bench is one call on a switchboard of fakes. It lives within a synctest bubble, so that time is free.
type bench struct {
	*testing.T
	queues   *fakeQueues
	phones   *fakePhones
	recorder *fakeRecorder
	records  *fakeRecords
	caller   *fakeLeg
	board    *Switchboard
	terms    Terms
	stop     context.CancelFunc
	ended    chan End
	faults   *counter // errors logged
	class    CallerClass
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t,
		queues:   &fakeQueues{stale: map[OfferOutcome]bool{}},
		phones:   &fakePhones{ringing: map[AgentID]chan Rang{}, dialling: map[LegID]chan Rang{}},
		recorder: &fakeRecorder{}, records: &fakeRecords{},
		caller: &fakeLeg{id: callerLeg},
		faults: &counter{Handler: slog.NewTextHandler(io.Discard, nil)},
		terms:  Terms{Record: true}, ended: make(chan End, 1),
	}
	b.board = &Switchboard{Node: "n1", Queues: b.queues, Phones: b.phones, Recorder: b.recorder, Records: b.records,
		Prompts: fakePrompts{}, Partners: fakePartners{}, Terms: func(CityID, QueueID) Terms { return b.terms },
		Log: slog.New(b.faults)}
	return b
}

// counter is a log of which only the errors are counted.
type counter struct {
	slog.Handler
	errors atomic.Int64
}

func (c *counter) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		c.errors.Add(1)
	}
	return nil
}

func (c *counter) WithAttrs([]slog.Attr) slog.Handler { return c }

// arrives sends the caller in and waits until nothing more happens by itself.
func (b *bench) arrives() {
	ctx, cancel := context.WithCancel(b.Context())
	b.stop = cancel
	go func() {
		defer cancel()
		defer func() {
			if recover() != nil { // as the SIP server does
				b.ended <- EndFailed
			}
		}()
		b.ended <- b.board.Take(ctx, Arrival{ID: "cl_1", City: "demo", Entry: "311", Queue: "general", Language: "en",
			At: time.Now(), Leg: b.caller, Class: b.class, Attest: AttestFull})
	}()
}

// wants checks how the call ended and that it left one record and nothing else behind.
func (b *bench) wants(end End) Record {
	b.Helper()
	if got := <-b.ended; got != end {
		b.Errorf("call ended as %q, want %q", got, end)
	}
	if n := b.board.Active(); n != 0 {
		b.Errorf("%d calls still active", n)
	}
	if len(b.records.closed) != 1 {
		b.Fatalf("%d records written, want exactly one", len(b.records.closed))
	}
	rec := b.records.closed[0]
	if rec.End != end || rec.EndedAt.IsZero() || rec.Q850 == 0 {
		b.Errorf("record says end %q at %v, Q.850 %d", rec.End, rec.EndedAt, rec.Q850)
	}
	if len(b.caller.hungUp)+len(b.caller.refused) != 1 {
		b.Errorf("caller's leg hung up %v, refused %v: want one of them, once", b.caller.hungUp, b.caller.refused)
	}
	if last := rec.Timeline[len(rec.Timeline)-1]; last.What != WhatEnded && last.What != WhatOfferOver {
		b.Errorf("timeline ends with %v", last)
	}
	return rec
}

func (b *bench) settled(want ...OfferOutcome) {
	b.Helper()
	if !slices.Equal(b.queues.settled, want) {
		b.Errorf("offers settled as %v, want %v", b.queues.settled, want)
	}
}

var errTest = errors.New("broken on purpose")
