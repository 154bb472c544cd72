package media

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

// Three phones on both loops hear each other over real sockets; one leaves, and the others go on.
func TestConferenceOverSockets(t *testing.T) {
	onEveryCarrier(t, func(t *testing.T, e *Engine) {
		defer closeEngine(t, e)
		phones := []*phone{
			newPhone(t, e, nil, "127.0.0.5", PCMU), newPhone(t, e, nil, "127.0.0.6", PCMA), newPhone(t, e, nil, "127.0.0.7", PCMU),
		}
		if phones[0].stream.loop == phones[1].stream.loop {
			t.Fatal("all streams are on one loop")
		}
		for _, p := range phones {
			p.stream.Tap(tapped{&p.told})
		}
		if err := Confer(phones[0].stream, phones[1].stream, phones[2].stream); err != nil {
			t.Fatal(err)
		}
		heard := converse(t, phones, 50)
		for i := range phones {
			hearsMostly(t, i, heard[i], slices.DeleteFunc([]int{0, 1, 2}, func(n int) bool { return n == i })...)
		}
		phones[2].stream.Close()
		heard = converse(t, phones[:2], 50)
		hearsMostly(t, 0, heard[0], 1)
		hearsMostly(t, 1, heard[1], 0)
		for i, p := range phones {
			p.stream.Tap(nil)
			if n, want := len(p.told.all().packets), []int{100, 100, 50}[i]; n < want-2 || n > want {
				t.Errorf("party %d: %d packets tapped, want %d", i, n, want)
			}
		}
	})
}

// converse lets all speak for n packets, at the pace at which they hear, and returns what each has heard.
func converse(t *testing.T, phones []*phone, n int) [][]int16 {
	heard := make([][]int16, len(phones))
	var last []uint16
	var tones []*Clip
	for i := range phones {
		tones = append(tones, Tone(pitches[i], loudness, time.Second))
	}
	for range n {
		for i, p := range phones {
			p.say(tones[i])
		}
		for i, p := range phones {
			packet, ok := p.hears()
			if !ok {
				t.Fatalf("party %d hears nothing", i)
			}
			if len(last) <= i {
				last = append(last, packet.SequenceNumber-1)
			}
			if packet.SequenceNumber != last[i]+1 {
				t.Errorf("party %d: number %d after %d", i, packet.SequenceNumber, last[i])
			}
			last[i] = packet.SequenceNumber
			heard[i] = append(heard[i], decode(packet.Payload, Codec(packet.PayloadType))...)
		}
	}
	return heard
}

// hearsMostly is hears for a machine that may be held up: in at least half of all pieces of 80 ms, after the first 200 ms,
// every party is as loud as it should be, and the party itself is never there.
func hearsMostly(t *testing.T, self int, heard []int16, who ...int) {
	t.Helper()
	good, all := 0, 0
	for piece := range slices.Chunk(heard[10*frameSize:], 4*frameSize) {
		right := true
		for i, freq := range pitches {
			got := level(piece, freq)
			if i == self && got > loudness/4 {
				t.Errorf("party %d hears itself with %.3f", self, got)
			}
			if slices.Contains(who, i) && (got < loudness*0.9 || got > loudness*1.1) {
				right = false
			}
		}
		if all++; right {
			good++
		}
	}
	if good < all/2 {
		t.Errorf("party %d hears the others right in %d of %d pieces", self, good, all)
	}
}

// Streams on two loops come and go, are joined, conferred and closed, from many goroutines; the race detector watches, and
// at the end nobody is left on the clock.
func TestConferencesFromManyGoroutines(t *testing.T) {
	onEveryCarrier(t, func(t *testing.T, e *Engine) {
		defer closeEngine(t, e)
		e.cfg.Deaf = -1
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { comeAndGo(t, e) })
		}
		all.Wait()
		if e.PortsLeased() != 0 {
			t.Errorf("%d ports are left", e.PortsLeased())
		}
		idle(t, e)
	})
}

func comeAndGo(t *testing.T, e *Engine) {
	tone := Tone(440, 0.5, 50*time.Millisecond)
	for range 25 {
		a, errA := e.Lease(nil)
		b, errB := e.Lease(nil)
		c, errC := e.Lease(nil)
		if err := errors.Join(errA, errB, errC); err != nil {
			t.Error(err)
			return
		}
		a.Set(Params{Remote: b.Local(), Send: true, Receive: true, DTMF: 101})
		b.Set(Params{Remote: c.Local(), Send: true, Receive: true, DTMF: 101})
		c.Set(Params{Remote: a.Local(), Send: true, Receive: true, DTMF: 101, Codec: PCMA})
		var work sync.WaitGroup
		work.Go(func() { _ = Confer(a, b, c) })
		work.Go(func() { _ = Confer(c, a, b); a.SendDigit('1', 0) })
		work.Go(func() { Join(a, b); b.Play(tone, false); c.Part() })
		work.Go(func() { _ = Confer(b, c, a); c.Close() })
		work.Wait()
		_ = Confer(a, b, c)
		work.Go(a.Close)
		work.Go(b.Close)
		work.Wait()
	}
}
