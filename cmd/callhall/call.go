package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"callhall/media"
	"callhall/sip/phone"
)

// callCmd is a caller without a telephone: it dials a number at any SIP server and tells what it met.
type callCmd struct {
	phoneFlags
	loadFlags
	To       string        `default:"311" help:"Number or SIP address to dial."`
	From     string        `default:"+12125550142" help:"Caller's number, or anonymous to withhold it."`
	DTMF     string        `name:"dtmf" placeholder:"KEYS" help:"Keys to press once the call is up."`
	Duration time.Duration `default:"5s" help:"How long to talk, counted from the agent's answer where the server tells it, else from the server's."`
	Wait     time.Duration `default:"60s" help:"How long to wait for an agent."`
	Expect   []string      `placeholder:"WHAT" help:"What must have happened: answered, agent, recorded, two-way-audio. Default: answered and two-way-audio."`
	Measure  []float64     `placeholder:"HZ" help:"Tones to listen for. Default: 440, 880 and our own."`
	Count    int           `default:"1" help:"How many calls to place."`
	Rate     float64       `default:"1" help:"Calls a second, with --count."`
}

// phoneFlags are what call and agent share.
type phoneFlags struct {
	Server    string     `default:"127.0.0.1:5060" help:"The SIP server."`
	Transport string     `enum:"udp,tcp" default:"udp" help:"udp or tcp."`
	Audio     audioFlag  `default:"tone:440" help:"What to say: tone:HZ, echo, silence, or a WAV file of 8 kHz mono."`
	User      string     `placeholder:"NAME" help:"Account, where the server wants one."`
	Password  SecretFile `name:"password-file" placeholder:"FILE" help:"File with the account's password."`
	Verbose   bool       `short:"v" help:"Log what the phone does."`
}

// audioFlag is phone.Audio on the command line.
type audioFlag struct{ phone.Audio }

// UnmarshalText reads "tone:440", "echo", "silence" or a file's name.
func (a *audioFlag) UnmarshalText(text []byte) error {
	word := string(text)
	tone, isTone := strings.CutPrefix(word, "tone:")
	switch {
	case isTone:
		hz, err := strconv.ParseFloat(tone, 64)
		if err != nil || hz < 1 || hz > 3900 {
			return fmt.Errorf("%q is no tone that a telephone carries; write tone:440", word)
		}
		a.Audio = phone.Audio{Tone: hz}
	case word == "echo":
		a.Audio = phone.Audio{Echo: true}
	case word == "silence":
		a.Audio = phone.Audio{}
	default:
		f, err := os.Open(word)
		if err != nil {
			return fmt.Errorf("%q is neither tone:HZ, echo nor silence, nor a file: %w", word, reason(err))
		}
		_, err = media.ParseWAV(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("file %q: %w", word, err)
		}
		a.Audio = phone.Audio{File: word}
	}
	return nil
}

// open makes the phone.
func (f phoneFlags) open(to io.Writer) (*phone.Phone, error) {
	log := slog.New(slog.DiscardHandler)
	if f.Verbose {
		log = slog.New(slog.NewTextHandler(to, nil))
	}
	cfg := phone.Config{Server: f.Server, Transport: f.Transport, User: f.User}
	if f.Password != "" {
		password, err := f.Password.Read()
		if err != nil {
			return nil, err
		}
		cfg.Password = password
	}
	p, err := phone.New(cfg, log)
	if err != nil {
		return nil, fmt.Errorf("open a phone: %w", err)
	}
	return p, nil
}

// met is what a caller met, as --json prints it.
type met struct {
	OK         bool     `json:"ok"`
	Missing    []string `json:"missing,omitempty"` // what was expected and did not happen
	Call       string   `json:"call,omitempty"`    // the server's name for the call, where it tells it
	Queue      string   `json:"queue,omitempty"`
	Place      int      `json:"place,omitempty"` // the first place in line that was told
	AnsweredBy string   `json:"answered_by,omitempty"`
	Recorded   bool     `json:"recorded"`
	EndedBy    string   `json:"ended_by"`
	Status     int      `json:"status,omitempty"` // SIP status that refused the call
	Reason     string   `json:"reason,omitempty"`

	PostDial   millis `json:"post_dial_ms,omitempty"`   // to the first ringing or answer
	Answer     millis `json:"answer_ms,omitempty"`      // to the server's answer
	Agent      millis `json:"agent_ms,omitempty"`       // to the agent's
	FirstSound millis `json:"first_sound_ms,omitempty"` // from the server's answer

	Sent     uint64  `json:"packets_sent"`
	Received uint64  `json:"packets_received"`
	Lost     uint64  `json:"packets_lost"`
	Jitter   millis  `json:"jitter_ms"`
	MOS      float64 `json:"mos,omitempty"`
	Codec    string  `json:"codec,omitempty"`
	Heard    []heard `json:"heard"` // in the last second
}

// heard is how much of what was heard lay at one tone.
type heard struct {
	Hz    float64 `json:"hz"`
	Share float64 `json:"share"` // of the power, 0 to 1
}

// millis is a length of time in milliseconds.
type millis float64

func since(start, at time.Time) millis {
	return millis(float64(at.Sub(start).Microseconds()) / 1000)
}

// toneShare is how much of the power must lie at one tone for it to count as heard.
const toneShare = 0.5

// expectations are what --expect may ask for.
var expectations = map[string]func(met) bool{
	"answered":      func(m met) bool { return m.Answer > 0 },
	"agent":         func(m met) bool { return m.AnsweredBy != "" },
	"recorded":      func(m met) bool { return m.Recorded },
	"two-way-audio": func(m met) bool { return m.Sent > 0 && m.loudest().Share >= toneShare },
}

// loudest is the tone that was heard most.
func (m met) loudest() heard {
	var best heard
	for _, h := range m.Heard {
		if h.Share > best.Share {
			best = h
		}
	}
	return best
}

// Run places the calls. It fails when one of them did not go as expected.
func (c callCmd) Run(ctx context.Context, t *terminal) error {
	if c.Load {
		return runLoad(ctx, t, c.Server, c.To, c.From, c.Count, c.Rate, c.loadFlags)
	}
	if len(c.Expect) == 0 {
		c.Expect = []string{"answered", "two-way-audio"}
	}
	for _, word := range c.Expect {
		if expectations[word] == nil {
			return badUsage{fmt.Errorf("--expect: no such thing as %q; answered, agent, recorded and two-way-audio are", word)}
		}
	}
	switch {
	case c.Count < 1 || c.Rate <= 0:
		return badUsage{errors.New("--count and --rate are above zero")}
	case strings.Trim(c.DTMF, "0123456789*#ABCD") != "":
		return badUsage{fmt.Errorf("--dtmf: %q has what is no key; 0 to 9, *, # and A to D are", c.DTMF)}
	case c.Duration <= 0 || c.Wait <= 0:
		return badUsage{errors.New("--duration and --wait are above zero")}
	}
	p, err := c.open(t.Err)
	if err != nil {
		return err
	}
	results := c.placeAll(ctx, p, t)
	if err := p.Close(); err != nil {
		return fmt.Errorf("close the phone: %w", err)
	}
	failed := 0
	for _, m := range results {
		if !m.OK {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d calls did not go as expected", failed, len(results))
	}
	return nil
}

// placeAll places the calls at their rate and prints what each met.
func (c callCmd) placeAll(ctx context.Context, p *phone.Phone, t *terminal) []met {
	results := make([]met, c.Count)
	var calls sync.WaitGroup
	var mu sync.Mutex // guards t.Out
	for i := range c.Count {
		if i > 0 && !waited(ctx, time.Duration(float64(time.Second)/c.Rate)) {
			results = results[:i]
			break
		}
		calls.Go(func() {
			var tell func(format string, args ...any)
			if !t.JSON && c.Count == 1 {
				tell = func(format string, args ...any) { fmt.Fprintf(t.Out, "  "+format+"\n", args...) }
			}
			m := c.place(ctx, p, tell)
			mu.Lock()
			defer mu.Unlock()
			results[i] = m
			c.print(t, m)
		})
	}
	calls.Wait()
	return results
}

// waited waits for d. It reports false when ctx ended first.
func waited(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// print tells what a call met: a line of JSON, or a few for people.
func (c callCmd) print(t *terminal, m met) {
	if t.JSON {
		text, err := json.Marshal(m)
		if err != nil {
			text = fmt.Appendf(nil, `{"ok":false,"reason":%q}`, err)
		}
		fmt.Fprintln(t.Out, string(text))
		return
	}
	verdict := "ok"
	if !m.OK {
		verdict = "FAILED: no " + strings.Join(m.Missing, ", no ")
	}
	fmt.Fprintf(t.Out, "%s  %s  up %d packets, down %d, lost %d, jitter %.1f ms", verdict, m.Codec, m.Sent, m.Received, m.Lost, m.Jitter)
	if m.MOS > 0 {
		fmt.Fprintf(t.Out, ", MOS %.1f", m.MOS)
	}
	if l := m.loudest(); l.Share >= toneShare {
		fmt.Fprintf(t.Out, ", heard %.0f Hz", l.Hz)
	}
	fmt.Fprintln(t.Out)
}

// place places one call, tells its progress line by line to tell, which may be nil, and returns what it met.
func (c callCmd) place(ctx context.Context, p *phone.Phone, tell func(format string, args ...any)) met {
	if tell == nil {
		tell = func(string, ...any) {}
	}
	options := phone.Options{From: c.From, DTMF: c.DTMF, Audio: c.Audio.Audio}
	if c.From == "anonymous" {
		options.From, options.Withheld = "", true
	} else if c.User == "" {
		options.Asserted = c.From
	}
	start := time.Now()
	one, err := p.Dial(ctx, c.To, options)
	if err != nil {
		return met{Missing: c.Expect, Reason: err.Error(), EndedBy: string(phone.Nobody)}
	}
	w := watch{callCmd: c, call: one, start: start, tell: tell, timer: time.NewTimer(c.Wait)}
	defer w.timer.Stop()
	w.follow(ctx)
	for _, word := range c.Expect {
		if !expectations[word](w.met) {
			w.met.Missing = append(w.met.Missing, word)
		}
	}
	w.met.OK = len(w.met.Missing) == 0
	return w.met
}

// watch follows one call to its end.
type watch struct {
	callCmd
	call     *phone.Call
	start    time.Time
	answered time.Time
	tell     func(format string, args ...any)
	timer    *time.Timer // the end of waiting or of talking
	news     bool        // the server tells what happens
	frames   uint64      // heard so far,
	quiet    time.Time   // and since when there were no more
	met      met
}

// follow reads the call's events, hangs up when it is time and measures what was heard.
func (w *watch) follow(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case ev, ok := <-w.call.Events():
			if !ok {
				return
			}
			w.event(ev)
		case now := <-look.C:
			w.listen(now)
		case <-w.timer.C:
			w.measure()
			w.hangUp(ctx)
		}
	}
}

// lookEvery is how often it is seen whether sound still comes, and deadAir how long none may come before nothing counts as heard.
const (
	lookEvery = 200 * time.Millisecond
	deadAir   = time.Second
)

// listen notes since when no sound has come.
func (w *watch) listen(now time.Time) {
	if n := w.call.Frames(); n != w.frames || w.quiet.IsZero() {
		w.frames, w.quiet = n, now
	}
}

// byeTime is how long the server may take to answer our BYE.
const byeTime = 5 * time.Second

// hangUp ends the call. A server that does not answer is gone, whatever was heard before.
func (w *watch) hangUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), byeTime)
	defer cancel()
	if err := w.call.HangUp(ctx); err != nil {
		w.met.Reason = "no answer to our hang-up"
		w.tell("no answer to our hang-up: %v", err)
	}
}

func (w *watch) event(ev phone.Event) {
	switch ev := ev.(type) {
	case phone.Trying:
		w.tell("100 trying")
	case phone.Ringing:
		w.postDial(ev.At)
		w.tell("%d ringing after %.0f ms", ev.Status, since(w.start, ev.At))
	case phone.Answered:
		w.postDial(ev.At)
		w.answered, w.met.Answer = ev.At, since(w.start, ev.At)
		w.tell("200 answered after %.0f ms", w.met.Answer)
		if !w.news {
			w.timer.Reset(w.Duration)
		}
	case phone.Heard:
		w.met.FirstSound = since(w.answered, ev.At)
		w.tell("first sound %.0f ms after the answer", w.met.FirstSound)
	case phone.News:
		w.told(ev)
	case phone.Held:
		w.tell("on hold: %v", ev.Held)
	case phone.Digit:
		w.tell("key %c", ev.Key)
	case phone.Ended:
		if len(w.met.Heard) == 0 {
			w.measure() // the far side hung up before our time
		}
		w.met.EndedBy, w.met.Status = string(ev.By), ev.Status
		if w.met.Reason == "" {
			w.met.Reason = ev.Reason
		}
		w.tell("%s", strings.Join(strings.Fields(fmt.Sprintf("ended by %s %s %s", ev.By, status(ev.Status), ev.Reason)), " "))
	}
}

// status is a SIP status for people, nothing where there was none.
func status(code int) string {
	if code == 0 {
		return ""
	}
	return strconv.Itoa(code)
}

func (w *watch) postDial(at time.Time) {
	if w.met.PostDial == 0 {
		w.met.PostDial = since(w.start, at)
	}
}

// told takes the server's news. A server that tells them is waited for; talking begins with the agent's answer.
func (w *watch) told(n phone.News) {
	if !w.news {
		w.news = true
		w.timer.Reset(w.Wait)
	}
	if n.Call != "" {
		w.met.Call = n.Call
		w.tell("call %s", n.Call)
	}
	if n.Recorded {
		w.met.Recorded = true
		w.tell("the call is recorded")
	}
	if n.Place > 0 {
		if w.met.Place == 0 {
			w.met.Queue, w.met.Place = n.Queue, n.Place
		}
		w.tell("place %d in queue %s", n.Place, n.Queue)
	}
	if n.Agent != "" {
		w.met.AnsweredBy, w.met.Agent = n.Agent, since(w.start, n.At)
		w.tell("answered by %s after %.1f s", n.Agent, time.Duration(float64(w.met.Agent)*1e6).Seconds())
		w.timer.Reset(w.Duration)
	}
}

// measure takes down what was heard in the last second and what the sound was like.
func (w *watch) measure() {
	hz := w.Measure
	if len(hz) == 0 {
		hz = []float64{440, 880}
		if own := w.Audio.Tone; own != 0 && !slices.Contains(hz, own) {
			hz = append(hz, own)
		}
	}
	w.met.Heard = nil
	if !w.quiet.IsZero() && time.Since(w.quiet) > deadAir {
		w.tell("no sound for the last %.0f s", time.Since(w.quiet).Seconds())
		hz = nil
	}
	for i, share := range w.call.Power(hz...) {
		w.met.Heard = append(w.met.Heard, heard{hz[i], share})
	}
	q := w.call.Quality()
	w.met.Sent, w.met.Received, w.met.Lost, w.met.Codec, w.met.MOS = q.Sent, q.Received, q.Lost, q.Codec, q.MOS
	w.met.Jitter = millis(float64(q.Jitter.Microseconds()) / 1000)
}
