package sip

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"callhall/call"
	"callhall/media"
)

// A leg is one party: a dialog and its sound. What callers and agents have in common is here; callerLeg and calledLeg
// add how each begins.
//
// Its methods are called by the call's goroutine, by handlers of requests within the dialog and by packet loops. None
// of them holds mu while it calls sipgo or media, since both call back.
type leg struct {
	server *Server
	id     call.LegID
	log    *slog.Logger
	dialog *dialog
	learn  netip.Addr // where sound may come from besides where SDP says (NAT); zero: nowhere

	begun   chan struct{} // closed when there is a dialog
	settled chan struct{} // closed when our 2xx was acknowledged or given up on, or theirs acknowledged
	over    chan struct{} // closed when the leg has ended, from whichever side
	gone    chan struct{} // closed when the far side has hung up: nothing is sent to it any more
	news    newsroom

	mu       sync.Mutex
	inbox    *call.Inbox
	ended    *call.LegEnded // until there is an inbox to tell
	stopped  bool
	vacate   func() // what else there is to give back when the leg ends
	left     bool
	asking   asking // of a caller, until settled
	stream   *media.Stream
	quality  call.Quality // once stopped
	params   media.Params
	ours     *description
	exchange *exchange // our last 2xx to an INVITE
	held     bool
	heldTold bool
	playing  call.Prompt
	clip     *media.Clip
	silence  *time.Timer // runs while nothing is heard of a party who should be
	quiet    bool
}

func (s *Server) newLeg(id call.LegID, log *slog.Logger, d *dialog) *leg {
	return &leg{
		server: s, id: id, log: log, dialog: d, ours: newDescription(),
		begun: make(chan struct{}), settled: make(chan struct{}), over: make(chan struct{}), gone: make(chan struct{}),
	}
}

// ID names the leg within its call.
func (l *leg) ID() call.LegID { return l.id }

// Attach makes in the place where the leg's events go, and tells it at once what it has missed.
func (l *leg) Attach(in *call.Inbox) {
	l.mu.Lock()
	l.inbox = in
	ended, held := l.ended, l.held && !l.stopped
	l.heldTold = held
	l.mu.Unlock()
	if held {
		in.Put(call.LegHeld{Leg: l.id, Held: true})
	}
	if ended != nil {
		in.Put(*ended)
	}
}

// lease takes a port for the leg, on the packet loop of near where there is one. Errors: call.ErrUnavailable, which has
// been logged.
func (s *Server) lease(near call.Leg) (*media.Stream, error) {
	var beside *media.Stream
	if other, ok := near.(party); ok {
		beside = other.common().sound()
	}
	stream, err := s.deps.Media.Lease(beside)
	if err != nil {
		s.log.Error("no port for a party's sound: calls are refused", "err", err)
		return nil, fmt.Errorf("no port for sound: %w: %w", call.ErrUnavailable, err)
	}
	return stream, nil
}

func (l *leg) common() *leg { return l }

// shown is where a stream is, as SDP says it.
func (s *Server) shown(stream *media.Stream) netip.AddrPort {
	local := stream.Local()
	if s.cfg.Advertise.IsValid() {
		return netip.AddrPortFrom(s.cfg.Advertise, local.Port())
	}
	return local
}

// sound is the leg's stream, nil when it has none or has ended.
func (l *leg) sound() *media.Stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return nil
	}
	return l.stream
}

// take makes stream the leg's sound. It reports false when the leg has ended meanwhile; the stream is then closed.
func (l *leg) take(stream *media.Stream) bool {
	l.mu.Lock()
	late := l.stopped
	if !late {
		l.stream = stream
	}
	l.mu.Unlock()
	if late {
		stream.Close()
		return false
	}
	stream.Watch(ear{l})
	return true
}

// tune sets the sound as was agreed, and tells the call when the party has put it on hold or come back.
func (l *leg) tune(a agreement) {
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		return
	}
	stream, in := l.stream, l.inbox
	l.params, l.held = a.params, a.held
	changed := in != nil && l.heldTold != a.held
	if changed {
		l.heldTold = a.held
	}
	l.listenForSilence()
	l.mu.Unlock()
	stream.Set(a.params)
	if changed {
		in.Put(call.LegHeld{Leg: l.id, Held: a.held})
	}
}

// codec is what the party speaks.
func (l *leg) codec() media.Codec {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.params.Codec
}

// Play plays p to this party in place of what it hears now. Errors: there is no such sound; the leg has ended.
func (l *leg) Play(p call.Prompt) error {
	stream := l.sound()
	if stream == nil {
		return call.ErrLegGone
	}
	if p.Name == "" {
		l.setPlaying(call.Prompt{}, nil)
		stream.Stop()
		return nil
	}
	clip, err := l.server.deps.Prompts.Clip(p.Language, p.Name)
	if err != nil {
		return fmt.Errorf("play %q: %w", p.Name, err)
	}
	l.setPlaying(p, clip)
	stream.Play(clip, p.Loop)
	return nil
}

func (l *leg) setPlaying(p call.Prompt, c *media.Clip) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.playing, l.clip = p, c
}

// Join connects the sound of two legs and stops what either was playing. Errors: one of them has ended.
func (l *leg) Join(other call.Leg) error {
	o, ok := other.(party)
	if !ok {
		return fmt.Errorf("join %s: %T is no leg of this server", l.id, other)
	}
	a, b := l.sound(), o.common().sound()
	if a == nil || b == nil {
		return fmt.Errorf("join %s: %w", l.id, call.ErrLegGone)
	}
	l.setPlaying(call.Prompt{}, nil)
	o.common().setPlaying(call.Prompt{}, nil)
	a.Stop()
	b.Stop()
	media.Join(a, b)
	return nil
}

// Confer connects the sound of all these legs and stops what any was playing. Errors, with which nothing has changed: one
// is no leg of this server, one has ended, there are too many.
func (l *leg) Confer(others ...call.Leg) error {
	legs := []*leg{l}
	for _, other := range others {
		o, ok := other.(party)
		if !ok {
			return fmt.Errorf("confer %s: %T is no leg of this server", l.id, other)
		}
		legs = append(legs, o.common())
	}
	var streams []*media.Stream
	for _, m := range legs {
		stream := m.sound()
		if stream == nil {
			return fmt.Errorf("confer %s with %s: %w", l.id, m.id, call.ErrLegGone)
		}
		streams = append(streams, stream)
	}
	if err := media.Confer(streams...); err != nil {
		return fmt.Errorf("confer %s: %w", l.id, err)
	}
	for _, m := range legs {
		m.setPlaying(call.Prompt{}, nil)
	}
	return nil
}

// Part undoes Join and Confer: nobody hears this leg, and it hears nobody.
func (l *leg) Part() {
	if s := l.sound(); s != nil {
		s.Part()
	}
}

// Listen gives every packet of this party to t, until Listen(nil).
func (l *leg) Listen(t call.Tap) {
	if s := l.sound(); s != nil {
		s.Tap(t)
	}
}

// Quality is what the leg's sound has been so far, or was.
func (l *leg) Quality() call.Quality {
	l.mu.Lock()
	stream, quality, stopped := l.stream, l.quality, l.stopped
	l.mu.Unlock()
	if stopped || stream == nil {
		return quality
	}
	return stream.Quality()
}

// stop ends the leg without telling the call, which knows. It reports whether this call did it.
func (l *leg) stop() bool {
	if !l.halt() {
		return false
	}
	close(l.over)
	return true
}

// atEnd says what else is to be done, once, when the leg ends; at once when it has.
func (l *leg) atEnd(vacate func()) {
	l.mu.Lock()
	stopped := l.stopped
	l.vacate = vacate
	l.mu.Unlock()
	if stopped {
		vacate()
	}
}

// halt ends the leg's sound and gives its port back, before over is closed.
func (l *leg) halt() bool {
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		return false
	}
	l.stopped = true
	stream, vacate := l.stream, l.vacate
	if l.silence != nil {
		l.silence.Stop()
	}
	l.mu.Unlock()
	if vacate != nil {
		vacate()
	}
	if stream != nil {
		quality := stream.Quality()
		stream.Close()
		l.mu.Lock()
		l.quality, l.stream = quality, nil
		l.mu.Unlock()
	}
	return true
}

// lose ends a leg that the call did not hang up, and tells it so; who waits for over finds the cause in the inbox. It
// never blocks: it is called from packet loops and with sipgo's transactions locked.
func (l *leg) lose(c call.Cause) bool {
	if !l.halt() {
		return false
	}
	defer close(l.over)
	ended := call.LegEnded{Leg: l.id, Cause: c}
	l.mu.Lock()
	in := l.inbox
	if in == nil {
		l.ended = &ended
	}
	l.mu.Unlock()
	if in != nil && !in.TryPut(ended) {
		l.server.work.run(func() { in.Put(ended) }) // the inbox is full: the call is busy, or over and nobody minds
	}
	return true
}
