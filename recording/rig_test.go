package recording_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"callhall/call"
	"callhall/recording"
	"callhall/recording/dirstore"
	"callhall/recording/ringstore"
	"callhall/recording/sqlstore"
	"callhall/sqldb"
)

const city = call.CityID("aspen")

// start is when the tests' clock begins.
var start = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// book is a ledger that remembers, and can refuse.
type book struct {
	mu     sync.Mutex
	leaves []call.Leaf
	err    error
}

func (b *book) Append(_ context.Context, c call.CityID, leaf call.Leaf) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil && c == city {
		b.leaves = append(b.leaves, leaf)
	}
	return b.err
}

// of is the leaves of one kind.
func (b *book) of(kind string) (found []call.Leaf) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.leaves {
		if l.Kind == kind {
			found = append(found, l)
		}
	}
	return found
}

// rig is a service with real stores around it, in one directory.
type rig struct {
	*recording.Service
	t        testing.TB
	dir      string
	clock    *clock
	book     *book
	objects  recording.Objects
	catalog  recording.Catalogue
	ring     *ringstore.Ring
	registry *prometheus.Registry
	found    []recording.Recovered // by Recover
	stop     func()
}

// options change what a rig is built of.
type options struct {
	clock   *clock
	objects func(recording.Objects) recording.Objects
	config  func(*recording.Config)
	others  map[call.CityID]recording.Objects // stores of further cities
	idle    bool                              // Run is not started
}

// newRig opens what is in dir, or begins there.
func newRig(t testing.TB, dir string, o options) *rig {
	t.Helper()
	r := &rig{t: t, dir: dir, clock: o.clock, book: &book{}, registry: prometheus.NewRegistry()}
	if r.clock == nil {
		r.clock = &clock{now: start}
	}
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "sealed.db"), sqldb.Durable)
	must(t, err)
	store, err := sqlstore.New(t.Context(), db)
	must(t, err)
	keys, err := ringstore.OpenKeyFiles(filepath.Join(dir, "keys"))
	must(t, err)
	r.ring, err = ringstore.Open(filepath.Join(dir, "ring"), keys)
	must(t, err)
	objects, err := dirstore.Open(filepath.Join(dir, "objects"))
	must(t, err)
	r.objects, r.catalog = objects, store
	if o.objects != nil {
		r.objects = o.objects(objects)
	}
	cfg := recording.Config{Dir: dir, Node: "n1", Clock: r.clock, Log: slog.New(slog.DiscardHandler), Registry: r.registry,
		Retry: 10 * time.Millisecond}
	if o.config != nil {
		o.config(&cfg)
	}
	stores := map[call.CityID]recording.Objects{city: r.objects}
	maps.Copy(stores, o.others)
	r.Service, err = recording.New(cfg, stores, store, r.ring, r.book)
	must(t, err)
	r.found, err = r.Recover(t.Context())
	must(t, err)
	r.run(db, o.idle)
	return r
}

// run starts Run unless idle, and makes stop.
func (r *rig) run(db *sqldb.DB, idle bool) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if !idle {
		running.Go(func() { r.Run(ctx) })
	}
	r.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := errors.Join(r.Service.Close(), r.ring.Close(), db.Close()); err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(r.stop)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// begin starts a recording.
func (r *rig) begin() call.Recording {
	r.t.Helper()
	rec, err := r.Start(r.t.Context(), city, call.NewID(), call.Notice{Prompt: "notice", Language: "en", HeardAt: r.clock.Now()})
	must(r.t, err)
	return rec
}

// The caller of these tests is a tone of 440 Hz, the agent one of 880.
const (
	callerTone = 440
	agentTone  = 880
)

// say gives both sides packets from number from to number to, 20 ms each, arrived in time.
func say(rec call.Recording, began time.Time, from, to int) {
	for i := from; i < to; i++ {
		at := began.Add(time.Duration(i) * 20 * time.Millisecond)
		rec.Caller().Heard(packet(callerTone, i, 1, at))
		rec.Agent().Heard(packet(agentTone, i, 2, at))
	}
}

func packet(freq float64, i int, ssrc uint32, at time.Time) call.Packet {
	p := call.Packet{At: at, Seq: uint16(i), TS: uint32(i * 160), SSRC: ssrc, Payload: make([]byte, 160)}
	for j := range p.Payload {
		p.Payload[j] = encode(tone(freq, i*160+j))
	}
	return p
}

func tone(freq float64, n int) int16 {
	return int16(8000 * math.Sin(2*math.Pi*freq*float64(n)/8000))
}

// encode is µ-law (ITU-T G.711), written apart from what it tests.
func encode(v int16) byte {
	sign, x := byte(0x80), int(v)
	if x < 0 {
		sign, x = 0, -x
	}
	x = min(x, 32635) + 132
	exponent := 7
	for mask := 0x4000; exponent > 0 && x&mask == 0; mask >>= 1 {
		exponent--
	}
	return ^(byte(exponent<<4|x>>(exponent+3)&0x0F) | sign&0x80 ^ 0x80)
}

// keep records seconds of both tones, to the end.
func (r *rig) keep(seconds int) call.RecordingSummary {
	r.t.Helper()
	rec := r.begin()
	say(rec, time.Now(), 0, seconds*50)
	return r.end(rec)
}

// end closes a recording.
func (r *rig) end(rec call.Recording) call.RecordingSummary {
	r.t.Helper()
	s, err := rec.Close(r.t.Context())
	must(r.t, err)
	if s.State != call.RecordingKept || s.ID != rec.ID() || s.DueAt.Sub(s.EndedAt) != 14*24*time.Hour {
		r.t.Fatalf("summary %+v", s)
	}
	return s
}

// await waits until a recording is in that state.
func (r *rig) await(id call.RecordingID, state recording.State) recording.Status {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		s, err := r.Status(r.t.Context(), city, id)
		must(r.t, err)
		if s.State == state {
			return s
		}
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("recording is %v, not %v", s.State, state)
		}
	}
}

// play is the sound of a recording, both sides.
func (r *rig) play(id call.RecordingID) (caller, agent []int16, err error) {
	p, err := r.Open(r.t.Context(), city, id)
	if err != nil {
		return nil, nil, err
	}
	defer p.Close()
	wav, err := io.ReadAll(p)
	if err != nil {
		return nil, nil, err
	}
	if int64(len(wav)) != p.Size() || !bytes.HasPrefix(wav, []byte("RIFF")) {
		r.t.Errorf("a WAV of %d bytes, promised %d", len(wav), p.Size())
	}
	for b := wav[44:]; len(b) > 0; b = b[4:] {
		caller = append(caller, int16(binary.LittleEndian.Uint16(b)))
		agent = append(agent, int16(binary.LittleEndian.Uint16(b[2:])))
	}
	return caller, agent, nil
}

// heard checks that a recording has both tones in their places, from the start and for at least so many seconds.
func (r *rig) heard(id call.RecordingID, seconds float64) {
	r.t.Helper()
	caller, agent, err := r.play(id)
	must(r.t, err)
	for side, c := range map[string]struct {
		sound []int16
		freq  float64
	}{"caller": {caller, callerTone}, "agent": {agent, agentTone}} {
		if float64(len(c.sound)+1) < seconds*8000 {
			r.t.Errorf("%s: %d samples, want %v s", side, len(c.sound), seconds)
		}
		at, all := goertzel(c.sound, c.freq)
		if at < 0.95*all {
			r.t.Errorf("%s: %.2f of the sound is at %v Hz", side, at/all, c.freq)
		}
		// A tenth of a second may pass before the first frame; after that nothing is missing.
		if least := 0.97 * (float64(len(c.sound)) - 1200) * 8000 * 8000 / 2; at < least {
			r.t.Errorf("%s: %.2f of the tone is missing", side, 1-at/least)
		}
	}
}

// goertzel is the sound's energy at one frequency, and all of it.
func goertzel(sound []int16, freq float64) (at, all float64) {
	const block = 400 // a whole number of both tones' periods
	for ; len(sound) >= block; sound = sound[block:] {
		w := 2 * math.Cos(2*math.Pi*freq/8000)
		var s1, s2 float64
		for _, v := range sound[:block] {
			x := float64(v)
			s1, s2 = x+w*s1-s2, s1
			all += x * x
		}
		at += (s1*s1 + s2*s2 - w*s1*s2) * 2 / block
	}
	return at, all
}

// meter is what a metric without labels stands at.
func (r *rig) meter(name string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	must(r.t, err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	r.t.Errorf("there is no metric %s", name)
	return 0
}

// files gives f every file under a directory.
func files(t testing.TB, dir string, f func(path string, b []byte)) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		f(path, b)
		return err
	}))
}

// flip turns one bit of a file.
func flip(t testing.TB, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	must(t, err)
	b[0] ^= 1 << (at % 8)
	_, err = f.WriteAt(b, at)
	must(t, errors.Join(err, f.Close()))
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		victim(dir)
		return
	}
	goleak.VerifyTestMain(m)
}
