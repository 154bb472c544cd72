package phone

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
	"callhall/media"
)

// eventsMax is how many events of a call wait for a reader. More are dropped, but never the Ended one.
const eventsMax = 64

// ErrEnded says that the call is over, or not up yet.
var ErrEnded = errors.New("the call is not up")

// A Call is one call of a phone, made or taken.
type Call struct {
	phone    *Phone
	invite   *sip.Request // the first one
	stream   *media.Stream
	ear      *ear
	voice    *voice
	quit     chan struct{} // closed by HangUp
	done     chan struct{} // closed when the call is over
	quitOnce func()
	ack      atomic.Pointer[sip.Request] // the last that we sent for a 2xx

	changing sync.Mutex // held during an offer of ours

	// telling is taken last, after mu and within the stream: taps and handlers tell events.
	telling sync.Mutex
	events  chan Event
	told    bool // Ended was

	mu     sync.Mutex
	dlg    *dialog // nil until the call is up
	ours   ours
	theirs theirs
	onHold bool                         // by us
	held   bool                         // by them
	acks   map[uint32]chan *sip.Request // answers of ours that wait for an ACK, by CSeq
	end    Ended
	over   bool
}

// newCall leases a port and gets ready to speak. Whoever gets a call runs it until it is over, and then says so to
// p.calls.
func (p *Phone) newCall(req *sip.Request, a Audio) (*Call, error) {
	stream, err := p.engine.Lease(nil)
	if err != nil {
		return nil, err
	}
	c := &Call{
		phone: p, invite: req, stream: stream, quit: make(chan struct{}), done: make(chan struct{}),
		events: make(chan Event, eventsMax+1), acks: map[uint32]chan *sip.Request{},
		ours: ours{at: stream.Local(), session: rand.Uint64() >> 2, version: 1, direction: sendrecv,
			codecs: []media.Codec{media.PCMU, media.PCMA}, dtmf: defaultDTMF},
	}
	c.quitOnce = sync.OnceFunc(func() { close(c.quit) })
	c.ear = &ear{onSound: func() { c.emit(Heard{time.Now()}) }}
	if c.voice, err = newVoice(p.engine, stream, a); err != nil {
		stream.Close()
		return nil, err
	}
	stream.Watch(watch{c})
	stream.Tap(c.ear)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		stream.Close()
		c.voice.close()
		return nil, errClosed
	}
	p.live[c] = struct{}{}
	p.calls.Add(1)
	return c, nil
}

var errClosed = errors.New("the phone is closed")

// watch is told by the stream.
type watch struct{ c *Call }

func (w watch) Digit(key rune)      { w.c.emit(Digit{time.Now(), key}) }
func (w watch) Played(*media.Clip)  {}
func (w watch) Quiet(time.Duration) {}
func (w watch) Heard()              {}

// Events is what happens to the call, in order. It is closed after Ended.
func (c *Call) Events() <-chan Event { return c.events }

// Done is closed when the call is over.
func (c *Call) Done() <-chan struct{} { return c.done }

// End says how the call ended. It is valid when Done is closed.
func (c *Call) End() Ended {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// Invite is the text of the INVITE that came or was sent, for those who look for what stands in it.
func (c *Call) Invite() string { return c.invite.String() }

// Header is the value of a header field of the INVITE; empty when it has none of that name.
func (c *Call) Header(name string) string { return valueOf(c.invite, name) }

// Quality is what the sound has been so far.
func (c *Call) Quality() call.Quality { return c.stream.Quality() }

// Power tells for each frequency in hertz how much of the power heard in the last second lies there, from 0 to 1.
func (c *Call) Power(hertz ...float64) []float64 {
	samples := c.ear.samples()
	power := make([]float64, len(hertz))
	for i, f := range hertz {
		power[i] = media.Goertzel(samples, f)
	}
	return power
}

// Frames is how many packets of sound were heard.
func (c *Call) Frames() uint64 { return c.ear.count() }

// Record writes what is heard from now on to a new WAV file, which is whole when the call is over.
func (c *Call) Record(path string) error { return c.ear.keep(path) }

// SendDigits sends keys (0-9 * # A-D) by RFC 4733, 100 ms each, and returns before they are out. Errors: ErrEnded, or
// that the far side did not agree to take keys.
func (c *Call) SendDigits(keys string) error {
	c.mu.Lock()
	up, dtmf := c.dlg != nil && !c.over, c.theirs.dtmf
	c.mu.Unlock()
	switch {
	case !up:
		return fmt.Errorf("send keys: %w", ErrEnded)
	case dtmf == 0:
		return errors.New("send keys: the far side takes none (no telephone-event)")
	}
	for _, key := range keys {
		c.stream.SendDigit(key, 100*time.Millisecond)
	}
	return nil
}

// HangUp ends the call, whatever state it is in, and waits until it is over or ctx ends.
func (c *Call) HangUp(ctx context.Context) error {
	c.quitOnce()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("hang up: %w", ctx.Err())
	}
}

// emit tells an event, if there is room.
func (c *Call) emit(ev Event) {
	c.telling.Lock()
	defer c.telling.Unlock()
	if !c.told && len(c.events) < eventsMax {
		c.events <- ev
	}
}

// dialog is the call's dialog; nil before it is up.
func (c *Call) dialog() *dialog {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dlg
}

// up makes d the call's dialog: from here on requests within it are taken.
func (c *Call) up(d *dialog) {
	c.phone.mu.Lock()
	c.phone.dialogs[d.key()] = c
	c.phone.mu.Unlock()
	c.mu.Lock()
	c.dlg = d
	c.mu.Unlock()
}

// finish ends the call on our side and reports false when it was over already. It says nothing to the far side.
func (c *Call) finish(e Ended) bool {
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return false
	}
	e.At = time.Now()
	c.over, c.end = true, e
	d := c.dlg
	c.mu.Unlock()
	c.telling.Lock()
	c.told = true
	c.events <- e // there is room: emit leaves one place
	close(c.events)
	c.telling.Unlock()
	c.phone.forget(c, d)
	c.stream.Close()
	c.voice.close()
	if err := c.ear.close(); err != nil {
		c.phone.log.Warn("capture not written", "err", err)
	}
	close(c.done)
	return true
}

// forget takes a call that is over out of the phone's books.
func (p *Phone) forget(c *Call, d *dialog) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.live, c)
	if d != nil {
		delete(p.dialogs, d.key())
	}
}

// goodbye is how long a BYE or a cancelled INVITE may wait for its answer.
const goodbye = 4 * time.Second

// bye ends the call and tells the far side, unless it was quicker.
func (c *Call) bye(e Ended) {
	if !c.finish(e) {
		return
	}
	req := c.dialog().request(sip.BYE)
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	if _, err := c.phone.do(ctx, req, true); err != nil {
		c.phone.log.Debug("BYE not answered", "err", err)
	}
}

// talk waits until the call is over, hanging up when ctx ends or HangUp says so.
func (c *Call) talk(ctx context.Context) {
	select {
	case <-c.done:
	case <-c.quit:
		c.bye(Ended{By: Us})
	case <-ctx.Done():
		c.bye(Ended{By: Us})
	}
}

// agree takes what the far side describes into use: its address, the codec, which way sound may flow.
func (c *Call) agree(t theirs) {
	c.mu.Lock()
	c.theirs = t
	was := c.held
	c.held = !t.direction.receives()
	held, codec := c.held, t.codecs[0]
	sends := c.ours.direction.sends() && t.direction.receives() && !c.onHold
	c.stream.Set(media.Params{
		Remote: t.at, RemoteRTCP: t.rtcp, Codec: codec, DTMF: t.dtmf,
		Send: sends, Receive: c.ours.direction.receives() && t.direction.sends(),
	})
	c.mu.Unlock()
	if sends {
		c.voice.start(codec)
	} else {
		c.voice.stop()
	}
	if was != held {
		c.emit(Held{time.Now(), held})
	}
}

// answerOffer makes our answer to an offer and takes it into use (RFC 3264 §6).
func (c *Call) answerOffer(t theirs) []byte {
	c.mu.Lock()
	want := sendrecv
	if c.onHold {
		want = sendonly
	}
	o := c.ours
	o.version++
	o.direction, o.codecs, o.dtmf = want.answerTo(t.direction), t.codecs[:1], t.dtmf
	c.ours = o
	c.mu.Unlock()
	c.agree(t)
	return o.describe()
}

// makeOffer describes what we would like.
func (c *Call) makeOffer(d direction) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ours.version++
	c.ours.direction = d
	c.ours.codecs = []media.Codec{media.PCMU, media.PCMA}
	if c.ours.dtmf == 0 {
		c.ours.dtmf = defaultDTMF
	}
	return c.ours.describe()
}

// onBye takes the far side's goodbye.
func (c *Call) onBye(req *sip.Request, tx sip.ServerTransaction) {
	c.phone.respond(req, tx, 200, "OK")
	c.finish(Ended{By: Them, Reason: reasonText(req, "")})
}

// onInfo takes news and nothing else.
func (c *Call) onInfo(req *sip.Request, tx sip.ServerTransaction) {
	name, _, _ := strings.Cut(valueOf(req, "Info-Package"), ";")
	if !strings.EqualFold(strings.TrimSpace(name), progressPackage) {
		c.phone.respond(req, tx, 469, "Bad Info Package", sip.NewHeader("Recv-Info", progressPackage)) // RFC 6086 §4.2.2
		return
	}
	news, err := readNews(req.Body(), time.Now())
	if err != nil {
		c.phone.respond(req, tx, 400, "Bad News")
		return
	}
	c.phone.respond(req, tx, 200, "OK")
	c.emit(news)
}

// onAck takes the ACK of an answer of ours.
func (c *Call) onAck(req *sip.Request) {
	c.mu.Lock()
	wait := c.acks[req.CSeq().SeqNo]
	delete(c.acks, req.CSeq().SeqNo)
	c.mu.Unlock()
	if wait != nil {
		wait <- req // it has room for one
	}
}
