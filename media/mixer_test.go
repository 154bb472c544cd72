package media

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// conferees are parties of a conference, each with a tone of its own.
type conferees struct {
	t       testing.TB
	engine  *Engine
	carrier *memoryCarrier
	all     []*party
	tones   []*Clip
}

// The tones, far enough apart to be told from one another in 20 ms, and how loud each is, so that three fit.
var pitches = []float64{440, 880, 1330, 1790, 2250, 2710}

const loudness = 0.15

// gather leases a stream for each codec.
func gather(t testing.TB, codecs ...Codec) *conferees {
	e, c := memoryEngine(t, nil)
	g := &conferees{t: t, engine: e, carrier: c}
	for i, codec := range codecs {
		addr := []string{"127.0.0.5:4000", "127.0.0.6:4002", "127.0.0.7:4004", "127.0.0.8:4006", "127.0.0.9:4008", "127.0.0.10:4010"}[i]
		g.all = append(g.all, newParty(t, e, c, addr, codec))
		g.tones = append(g.tones, Tone(pitches[i], loudness, time.Second))
	}
	return g
}

func (g *conferees) streams() []*Stream {
	var out []*Stream
	for _, p := range g.all {
		out = append(out, p.stream)
	}
	return out
}

// confer connects all.
func (g *conferees) confer() {
	g.t.Helper()
	if err := Confer(g.streams()...); err != nil {
		g.t.Fatal(err)
	}
}

// talk lets these parties speak at once, n packets of theirs in real time.
func (g *conferees) talk(n int, who ...int) {
	for range n {
		for _, i := range who {
			p := g.all[i]
			payload := make([]byte, frameSize)
			g.tones[i].frame(payload, Codec(p.next.PayloadType), int(p.next.Timestamp)%rate, true)
			p.send(payload)
		}
		time.Sleep(Ptime)
	}
	synctest.Wait()
}

// to is what has been sent to each party since it was called last.
func (g *conferees) to() [][]timed {
	sent := g.carrier.take()
	var out [][]timed
	for _, p := range g.all {
		out = append(out, rtpTo(g.t, sent, p.addr))
	}
	return out
}

// sound is what packets say.
func sound(ps []timed) []int16 {
	var out []int16
	for _, p := range ps {
		out = append(out, decode(p.Payload, Codec(p.PayloadType))...)
	}
	return out
}

// level is the peak of the tone at freq within samples, from 0 to 1 of full scale.
func level(samples []int16, freq float64) float64 {
	power := 0.0
	for _, v := range samples {
		power += float64(v) * float64(v)
	}
	return math.Sqrt(2*Goertzel(samples, freq)*power/float64(len(samples))) / math.MaxInt16
}

// hears fails unless the sound is these parties' tones, as loud as they were sent, and nobody else's.
func hears(t *testing.T, what string, samples []int16, who ...int) {
	t.Helper()
	for i, freq := range pitches {
		got, want := level(samples, freq), 0.0
		if slices.Contains(who, i) {
			want = loudness
		}
		if math.Abs(got-want) > 0.005 {
			t.Errorf("%s: party %d is heard with %.3f, want %.3f", what, i, got, want)
		}
	}
}

// paced fails when packets have another distance than 20 ms.
func paced(t *testing.T, ps []timed) {
	t.Helper()
	for i := 1; i < len(ps); i++ {
		if gap := ps[i].at.Sub(ps[i-1].at); gap != Ptime {
			t.Errorf("packet %d comes after %v", i, gap)
		}
	}
}

// unbroken fails unless packets are one stream without a pause longer than 40 ms.
func unbroken(t *testing.T, ps []timed) {
	t.Helper()
	follows(t, ps)
	for i := 1; i < len(ps); i++ {
		if gap := ps[i].at.Sub(ps[i-1].at); gap > 2*Ptime {
			t.Errorf("packet %d comes after %v", i, gap)
		}
	}
}

func markers(ps []timed) int {
	n := 0
	for _, p := range ps {
		if p.Marker {
			n++
		}
	}
	return n
}

// idle fails when anybody still has work on the engine's clock.
func idle(t testing.TB, e *Engine) {
	t.Helper()
	for _, l := range e.loops {
		l.mu.Lock()
		for slot, busy := range l.wheel {
			if len(busy) > 0 {
				t.Errorf("slot %d still serves %T", slot, busy[0])
			}
		}
		l.mu.Unlock()
	}
}

func TestEachHearsTheOthers(t *testing.T) {
	for name, codecs := range map[string][]Codec{
		"µ-law": {PCMU, PCMU, PCMU}, "A-law": {PCMA, PCMA, PCMA}, "both": {PCMU, PCMA, PCMU, PCMA}, "six": {PCMU, PCMA, PCMU, PCMU, PCMU, PCMA},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := gather(t, codecs...)
				everybody := []int{0, 1, 2, 3, 4, 5}[:len(codecs)]
				for _, p := range g.all {
					p.stream.Tap(tapped{&p.told})
				}
				begun := time.Now()
				g.confer()
				g.talk(60, everybody...)
				for i, got := range g.to() {
					others := slices.DeleteFunc(slices.Clone(everybody), func(n int) bool { return n == i })
					unbroken(t, got)
					paced(t, got)
					if wait := got[0].at.Sub(begun); wait > 2*slotTime {
						t.Errorf("party %d waits %v", i, wait)
					}
					hears(t, "party "+string(rune('0'+i)), sound(got[5:55]), others...)
					if n := len(got); n != 60 || markers(got) != 1 || !got[0].Marker || got[0].PayloadType != uint8(codecs[i]) {
						t.Errorf("party %d got %d packets, %d with the marker, type %d", i, n, markers(got), got[0].PayloadType)
					}
					tapped := g.all[i].told.all().packets
					if len(tapped) != 60 || tapped[7].Type != uint8(codecs[i]) {
						t.Fatalf("party %d: %d packets tapped", i, len(tapped))
					}
					var own []int16
					for _, p := range tapped {
						own = append(own, decode(p.Payload, Codec(p.Type))...)
					}
					hears(t, "the tap of party "+string(rune('0'+i)), own[:8000], i)
				}
			})
		})
	}
}

// What is too loud for a codec is as loud as it can be, and never turns round.
func TestLoudnessIsClipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gather(t, PCMU, PCMA, PCMU, PCMU, PCMA, PCMA)
		g.confer()
		for _, sample := range []int16{math.MaxInt16, math.MinInt16} {
			g.to()
			for range 10 {
				for _, p := range g.all {
					p.send(frame(encoded(sample, Codec(p.next.PayloadType))))
				}
				time.Sleep(Ptime)
			}
			for i, got := range g.to() {
				codec := Codec(g.all[i].next.PayloadType)
				if last := got[len(got)-1]; !bytes.Equal(last.Payload, frame(encoded(sample, codec))) {
					t.Errorf("party %d hears %d of %d", i, decode(last.Payload[:1], codec)[0], sample)
				}
			}
		}
	})
}

// encoded is the code of a sample.
func encoded(sample int16, codec Codec) byte {
	if codec == PCMA {
		return EncodeALaw(sample)
	}
	return EncodeULaw(sample)
}

// Pauses, comfort noise and silence of one party leave the others as they are; who hears nobody is sent silence.
func TestSilenceIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gather(t, PCMU, PCMA, PCMU)
		g.confer()
		noisy := g.all[2]
		noisy.next.PayloadType = typeNoise
		noisy.send([]byte{40})
		g.talk(60, 0)
		got := g.to()
		hears(t, "who is spoken to", sound(got[1][5:55]), 0)
		hears(t, "who makes noise", sound(got[2][5:55]), 0)
		if paced(t, got[0]); len(got[0]) != 60 || !bytes.Equal(got[0][30].Payload, frame(ulawSilence)) {
			t.Errorf("who speaks alone gets %d packets of %#02x", len(got[0]), got[0][30].Payload[0])
		}
	})
}

// The far side of each has one stream, whatever is behind it, and no pause while it changes.
func TestHandOverBetweenRelayAndMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gather(t, PCMU, PCMA, PCMU, PCMU)
		a, b, c, d := g.all[0].stream, g.all[1].stream, g.all[2].stream, g.all[3].stream
		odd := func(ms int) { time.Sleep(time.Duration(ms) * time.Millisecond) }
		talk := func(n, late int) { // the next change comes at another time between two packets
			g.talk(n-1, 0, 1, 2, 3)
			for i, p := range g.all {
				payload := make([]byte, frameSize)
				g.tones[i].frame(payload, Codec(p.next.PayloadType), int(p.next.Timestamp)%rate, true)
				p.send(payload)
			}
			odd(late)
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		Join(a, b)
		talk(20, 19)
		a.Part() // as a call does: all part, then all are connected otherwise
		must(Confer(a, b, c))
		odd(1)
		talk(30, 3)
		must(Confer(a, b, c, d))
		odd(17)
		talk(30, 11)
		d.Part()
		odd(9)
		talk(20, 1)
		c.Close()
		odd(19)
		talk(30, 13)
		Join(b, a)
		odd(7)
		talk(20, 20)
		synctest.Wait()
		got := g.to()
		for i, ps := range got[:2] {
			unbroken(t, ps)
			if n := markers(ps); n != 4 {
				t.Errorf("party %d: %d packets have the marker, want one for each hand-over", i, n)
			}
			end := 20 + 30 + 30 + 20 + 30
			hears(t, "joined", sound(ps[:19]), 1-i)
			hears(t, "three", sound(ps[27:47]), 1-i, 2)
			hears(t, "four", sound(ps[60:78]), []int{1 - i, 2, 3}...)
			hears(t, "three again", sound(ps[84:98]), 1-i, 2)
			hears(t, "two", sound(ps[104:end-2]), 1-i)
			hears(t, "joined again", sound(ps[end+4:end+18]), 1-i)
		}
		unbroken(t, got[2])
		unbroken(t, got[3])
		if len(got[3]) > 32 {
			t.Errorf("who has left is sent %d packets", len(got[3]))
		}
		idle(t, g.engine)
	})
}

// A loop that was held up does not send what a conference would have said before it began.
func TestLateLoopBeginsConferenceOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gather(t, PCMU, PCMU, PCMU)
		g.all[0].stream.Play(clipOf(10), true)
		time.Sleep(30 * time.Millisecond)
		synctest.Wait()
		g.carrier.timer.Stop() // the machine stands still
		time.Sleep(90 * time.Millisecond)
		g.to()
		g.confer()
		time.Sleep(3 * slotTime)
		g.engine.loops[0].run(time.Now())
		if got := g.to(); len(got[1]) != 1 {
			t.Errorf("sent %d packets at once", len(got[1]))
		}
	})
}

// Somebody may leave or come when the others hold still: those who stay hear each other, and one alone hears nobody.
func TestConferenceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gather(t, PCMU, PCMU, PCMU)
		a, b, c := g.all[0].stream, g.all[1].stream, g.all[2].stream
		g.confer()
		g.talk(10, 0, 1, 2)
		a.Close() // it was named first: its loop keeps the time
		g.talk(5, 1, 2)
		g.to()
		g.talk(50, 1, 2)
		got := g.to()
		hears(t, "b", sound(got[1]), 2)
		hears(t, "c", sound(got[2]), 1)
		if paced(t, got[1]); len(got[0]) > 0 {
			t.Errorf("a closed stream is sent %d packets", len(got[0]))
		}
		b.Part()
		b.Part()
		g.talk(10, 1, 2)
		if got := g.to(); len(got[1])+len(got[2]) > 0 {
			t.Errorf("alone: %d and %d packets", len(got[1]), len(got[2]))
		}
		idle(t, g.engine)
		if err := Confer(a, b, c); err != nil { // two are left of these
			t.Error(err)
		}
		g.talk(10, 1, 2)
		if got := g.to(); len(got[0]) > 0 || len(got[1]) != 10 {
			t.Errorf("with a closed one: %d and %d packets", len(got[0]), len(got[1]))
		}
		c.Close()
		idle(t, g.engine)
		if err := Confer(a, b, c); err != nil {
			t.Error(err)
		}
		idle(t, g.engine)
	})
}

func TestConferOfFewOrTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gather(t, PCMU, PCMU, PCMU, PCMU, PCMU, PCMU)
		a, b := g.all[0].stream, g.all[1].stream
		if err := Confer(a, b, a); err != nil {
			t.Error(err)
		}
		g.all[0].send(frame(3))
		if got := g.to(); len(got[1]) != 1 { // at once: it is not mixed
			t.Errorf("of two, one was sent %d packets", len(got[1]))
		}
		idle(t, g.engine)
		seventh := newParty(t, g.engine, g.carrier, "127.0.0.11:4000", PCMU)
		if err := Confer(append(g.streams(), seventh.stream)...); !errors.Is(err, ErrTooMany) {
			t.Errorf("seven: %v", err)
		}
		g.all[0].send(frame(3))
		if got := g.to(); len(got[1]) != 1 {
			t.Error("what was refused changed something")
		}
		if err := errors.Join(Confer(), Confer(a)); err != nil {
			t.Error(err)
		}
		g.all[0].send(frame(3))
		if got := g.to(); len(got[1]) != 0 {
			t.Error("a conference of one does not part it")
		}
	})
}

// A prompt is heard in place of the conference, by the one to whom it is played; who holds is left out in both ways.
func TestPromptAndHoldInConference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gather(t, PCMU, PCMU, PCMU)
		g.all[1].stream.Play(clipOf(1000), true)
		time.Sleep(100 * time.Millisecond)
		g.confer()
		if g.all[1].stream.player.busy() {
			t.Error("the music goes on")
		}
		g.talk(20, 0, 1, 2)
		g.all[0].stream.Play(Tone(pitches[5], loudness, 400*time.Millisecond), false)
		g.talk(40, 0, 1, 2)
		got := g.to()
		unbroken(t, got[0])
		hears(t, "the prompt", sound(got[0][22:38]), 5)
		hears(t, "after the prompt", sound(got[0][43:57]), 1, 2)
		hears(t, "meanwhile", sound(got[2][25:55]), 0, 1)
		if n := markers(got[0]); n != 3 || len(g.all[0].told.all().played) != 1 {
			t.Errorf("%d packets with the marker, %d ends told", n, len(g.all[0].told.all().played))
		}
		held := g.all[0].params(PCMU)
		held.Send, held.Receive = false, false
		g.all[0].stream.Set(held)
		g.talk(5, 0, 1, 2)
		g.to()
		g.talk(20, 0, 1, 2)
		got = g.to()
		hears(t, "without who holds", sound(got[1]), 2)
		if len(got[0]) > 0 {
			t.Errorf("who holds is sent %d packets", len(got[0]))
		}
		g.all[0].stream.Set(g.all[0].params(PCMA))
		g.talk(20, 0, 1, 2)
		got = g.to()
		hears(t, "back", sound(got[0]), 1, 2)
		if unbroken(t, got[0]); !got[0][0].Marker || got[0][0].PayloadType != uint8(PCMA) {
			t.Errorf("back with marker %v and type %d", got[0][0].Marker, got[0][0].PayloadType)
		}
	})
}

// A conference costs its packets no memory.
func TestConferenceAllocatesNothing(t *testing.T) {
	g, m, packets := still(t)
	at := time.Now()
	if n := testing.AllocsPerRun(200, func() { g.turn(m, packets, &at) }); n > 0 {
		t.Errorf("%v allocations in 20 ms", n)
	}
}

// still is a conference of three whose clock beats when it is told to, and a packet of each party.
func still(t testing.TB) (*conferees, *mixer, [][]byte) {
	g := gather(t, PCMU, PCMA, PCMU)
	g.confer()
	m := g.all[0].stream.to.seat.mixer
	m.loop.stop(m, m.slot)
	m.since = 0
	for _, p := range g.all {
		p.stream.pair.rtp = &sinkSocket{}
	}
	return g, m, make([][]byte, len(g.all))
}

// turn is 20 ms: a packet comes from each, and each is sent one.
func (g *conferees) turn(m *mixer, packets [][]byte, at *time.Time) {
	*at = at.Add(Ptime)
	for i, p := range g.all {
		if packets[i] == nil {
			packets[i] = make([]byte, headerSize+frameSize)
			g.tones[i].frame(packets[i][headerSize:], Codec(p.next.PayloadType), 0, true)
		}
		if _, err := p.next.MarshalTo(packets[i]); err != nil {
			g.t.Fatal(err)
		}
		p.next.SequenceNumber++
		p.next.Timestamp += frameSize
		p.stream.receive(*at, p.addr, packets[i])
	}
	m.tick(m.loop.slotAt(*at))
}

// BenchmarkConference is one packet of a conference of three: from the buffer it came in, and one mixed for its party to
// the moment before it is sent. No sockets.
func BenchmarkConference(b *testing.B) {
	g, m, packets := still(b)
	at := time.Now()
	b.ReportAllocs()
	turns := 0
	for b.Loop() {
		g.turn(m, packets, &at)
		turns++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(turns*len(g.all)), "ns/packet")
	if sent := g.all[0].stream.Quality().Sent; sent < uint64(turns) {
		b.Errorf("%d packets were sent in %d turns", sent, turns)
	}
}
