package recording

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callhall/call"
)

// ptime is the samples in one packet of these tests: 20 ms.
const ptime = 160

// talker makes the packets of one side: a tone, whose sample number n always has the same value, so that every sample
// found in a recording can be checked against the place where it belongs.
type talker struct {
	freq  float64
	codec codec
	ssrc  uint32
	seq   uint16
	ts    uint32
}

func tone(freq float64, n int64) int16 {
	return int16(8000 * math.Sin(2*math.Pi*freq*float64(n)/Rate))
}

// encoders has the byte for each 16-bit value, of PCMU and PCMA.
var encoders = [2]*[1 << 16]byte{encoder(pcmu), encoder(pcma)}

func encoder(c codec) *[1 << 16]byte {
	var table [1 << 16]byte
	for v := -8001; v <= 8001; v++ { // as loud as the tones are
		table[uint16(v)] = nearest(c, int16(v))
	}
	return &table
}

// packet is the talker's i-th, sent at i times 20 ms.
func (k talker) packet(i int) call.Packet {
	p := call.Packet{Seq: k.seq + uint16(i), TS: k.ts + uint32(i*ptime), SSRC: k.ssrc, Type: uint8(k.codec), Payload: make([]byte, ptime)}
	for j := range p.Payload {
		p.Payload[j] = encoders[k.codec/8][uint16(tone(k.freq, int64(i*ptime+j)))]
	}
	return p
}

// session is a recording without a service: what is heard goes through chunk, gatherer and object to a listener.
type session struct{ *live }

func newSession() session {
	l := &live{begun: true, base: time.Now(), raw: rawID{1, 2, 3}, key: bytes.Repeat([]byte{7}, keySize), entry: Entry{City: "aspen", Call: "cl_x"}}
	l.taps = [2]tap{{live: l, side: left}, {live: l, side: right}}
	return session{l}
}

// hears gives a packet to a side, arrived so many milliseconds after the start.
func (s session) hears(side int, p call.Packet, ms float64) {
	p.At = s.base.Add(time.Duration(ms * float64(time.Millisecond)))
	s.taps[side].Heard(p)
}

// object is the sealed object of what was heard so far.
func (s session) object(t testing.TB) []byte {
	t.Helper()
	items, _, _ := s.take(nil)
	k := s.over()
	chunks := [][]byte{items}
	g, err := newGatherer("aspen", s.raw, s.key, k.manifest(), func() ([]byte, error) {
		if len(chunks) == 0 {
			return nil, io.EOF
		}
		c := chunks[0]
		chunks = chunks[1:]
		return c, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(g)
	if err != nil || int64(len(b)) != g.size {
		t.Fatalf("object of %d bytes, promised %d: %v", len(b), g.size, err)
	}
	return b
}

func listen(object []byte, key []byte) (*Playback, error) {
	return openPlayback(context.Background(), "aspen", rawID{1, 2, 3}, key, func(_ context.Context, off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(bytes.NewReader(object), off, n)), nil
	})
}

// play is the sound of both sides, and what the manifest says.
func (s session) play(t testing.TB) (sound [2][]int16, m Manifest) {
	t.Helper()
	p, err := listen(s.object(t), s.key)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	wav, err := io.ReadAll(p)
	if err != nil || int64(len(wav)) != p.Size() {
		t.Fatalf("%d bytes of %d: %v", len(wav), p.Size(), err)
	}
	for b := wav[wavHeader:]; len(b) > 0; b = b[4:] {
		sound[left] = append(sound[left], int16(binary.LittleEndian.Uint16(b)))
		sound[right] = append(sound[right], int16(binary.LittleEndian.Uint16(b[2:])))
	}
	return sound, p.Manifest()
}

// stretch is samples from to to of a recording, and which samples of the tone belong there: shifted by so much; quiet
// when nothing does.
type stretch struct {
	from, to, shift int64
	quiet           bool
}

// expect measures that a side has just these stretches.
func expect(t *testing.T, what string, sound []int16, freq float64, stretches ...stretch) {
	t.Helper()
	end := int64(0)
	for _, s := range stretches {
		end = max(end, s.to)
		wrong := 0
		for i := s.from; i < s.to && i < int64(len(sound)); i++ {
			want := tone(freq, i+s.shift)
			if s.quiet {
				want = 0
			}
			if d := int(sound[i]) - int(want); d > 400 || d < -400 {
				wrong++
			}
		}
		if wrong > 0 {
			t.Errorf("%s: %d of samples %d to %d are not what was said there", what, wrong, s.from, s.to)
		}
	}
	if int64(len(sound)) < end {
		t.Errorf("%s: %d samples, want %d", what, len(sound), end)
	}
}

// upTo is the numbers 0 to n-1.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func TestTimeline(t *testing.T) {
	const n = 100 // packets: two seconds
	for name, c := range map[string]struct {
		from   talker
		order  []int               // which packets come, in this order
		delay  func(i int) float64 // in ms, on top of 20 a packet; nil: none
		change func(p *call.Packet, i int)
		want   []stretch
		tally  tally // Expected, Received, Duplicate, Late, Restarts
	}{
		"in order": {
			order: upTo(n), want: []stretch{{to: n * ptime}}, tally: tally{Expected: n, Received: n}},
		"A-law": {from: talker{codec: pcma},
			order: upTo(n), want: []stretch{{to: n * ptime}}, tally: tally{Expected: n, Received: n}},
		"loss is silence": {
			order: slices.DeleteFunc(upTo(n), func(i int) bool { return i >= 20 && i < 30 }),
			want:  []stretch{{to: 20 * ptime}, {from: 20 * ptime, to: 30 * ptime, quiet: true}, {from: 30 * ptime, to: n * ptime}},
			tally: tally{Expected: n, Received: n - 10}},
		"reordered": {
			order: append([]int{0, 3, 2, 1, 5, 4}, upTo(n)[6:]...),
			want:  []stretch{{to: n * ptime}}, tally: tally{Expected: n, Received: n}},
		"doubled": {
			order: append([]int{0, 1, 1, 0, 1}, upTo(n)[2:]...),
			want:  []stretch{{to: n * ptime}}, tally: tally{Expected: n, Received: n, Duplicate: 3}},
		"sequence and timestamp wrap": {from: talker{seq: 65_500, ts: math.MaxUint32 - 50*ptime},
			order: upTo(n), want: []stretch{{to: n * ptime}}, tally: tally{Expected: n, Received: n}},
		"reordered across the wrap": {from: talker{seq: 65_534, ts: math.MaxUint32 - 2*ptime + 1},
			order: append([]int{0, 2, 1, 3, 5, 4}, upTo(n)[6:]...),
			want:  []stretch{{to: n * ptime}}, tally: tally{Expected: n, Received: n}},
		"jitter does not move sound": {
			order: upTo(n), delay: func(i int) float64 { return float64(i * 37 % 60) },
			want: []stretch{{to: n * ptime}}, tally: tally{Expected: n, Received: n}},
		"begins late": {
			order: upTo(n)[25:],
			want:  []stretch{{to: 25 * ptime, quiet: true}, {from: 25 * ptime, to: n * ptime}},
			tally: tally{Expected: n - 25, Received: n - 25}},
		"DTX: no packets, no sequence numbers, time goes on": {
			order: slices.DeleteFunc(upTo(n), func(i int) bool { return i >= 40 && i < 60 }),
			change: func(p *call.Packet, i int) {
				if i >= 60 {
					p.Seq -= 20
				}
			},
			want:  []stretch{{to: 40 * ptime}, {from: 40 * ptime, to: 60 * ptime, quiet: true}, {from: 60 * ptime, to: n * ptime}},
			tally: tally{Expected: n - 20, Received: n - 20}},
		"new SSRC": {
			order: upTo(n), change: func(p *call.Packet, i int) {
				if i >= 50 {
					p.SSRC, p.Seq, p.TS = 99, p.Seq*3, p.TS+1_000_000_000
				}
			},
			// Sequence numbers that jump with the SSRC keep their distance here: three apart.
			want: []stretch{{to: n * ptime}}, tally: tally{Expected: n + 98, Received: n, Restarts: 1}},
		"timestamps jump": {
			order: upTo(n), change: func(p *call.Packet, i int) {
				if i >= 50 {
					p.TS += 500_000
				}
			},
			want: []stretch{{to: n * ptime}}, tally: tally{Expected: n, Received: n, Restarts: 1}},
		"timestamps jump back": {
			order: upTo(n), change: func(p *call.Packet, i int) {
				if i >= 50 {
					p.TS -= 500_000
				}
			},
			want: []stretch{{to: n * ptime}}, tally: tally{Expected: n, Received: n, Restarts: 1}},
		"sequence numbers jump": {
			order: upTo(n), change: func(p *call.Packet, i int) {
				if i >= 50 {
					p.Seq += 20_000
				}
			},
			want: []stretch{{to: n * ptime}}, tally: tally{Expected: n, Received: n, Restarts: 1}},
		"held up and delivered at once": {
			order: upTo(n), delay: func(i int) float64 {
				if i >= 30 && i < 60 {
					return float64(60-i) * 20
				}
				return 0
			},
			want: []stretch{{to: n * ptime}}, tally: tally{Expected: n, Received: n}},
		"far too late": {
			order: append(slices.DeleteFunc(upTo(n), func(i int) bool { return i == 5 }), 5),
			want:  []stretch{{to: 5 * ptime}, {from: 5 * ptime, to: 6 * ptime, quiet: true}, {from: 6 * ptime, to: n * ptime}},
			tally: tally{Expected: n, Received: n - 1, Late: 1}},
		"other payload types are not kept": {
			order: upTo(n), change: func(p *call.Packet, i int) {
				if i >= 10 && i < 20 {
					p.Type = 101 // telephone-event
				}
				if i == 25 {
					p.Type, p.Payload = 13, []byte{40}
				}
			},
			want: []stretch{{to: 10 * ptime}, {from: 10 * ptime, to: 20 * ptime, quiet: true}, {from: 20 * ptime, to: 25 * ptime},
				{from: 25 * ptime, to: 26 * ptime, quiet: true}, {from: 26 * ptime, to: n * ptime}},
			tally: tally{Expected: n, Received: n - 11}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession()
			c.from.freq = 440
			for at, i := range c.order {
				p := c.from.packet(i)
				if c.change != nil {
					c.change(&p, i)
				}
				ms := float64(max(at, i) * 20)
				if c.delay != nil {
					ms += c.delay(i)
				}
				s.hears(left, p, ms)
			}
			sound, m := s.play(t)
			expect(t, "caller", sound[left], 440, c.want...)
			expect(t, "agent", sound[right], 0, stretch{to: int64(len(sound[left])), quiet: true})
			is, ch := tally{}, m.Channels[left]
			is.Expected, is.Received, is.Duplicate, is.Late, is.Restarts = ch.Expected, ch.Received, ch.Duplicate, ch.Late, ch.Restarts
			if is != c.tally {
				t.Errorf("counted %+v, want %+v", is, c.tally)
			}
			if len(m.Channels[right].Parties) != 0 || m.Channels[left].Parties[0].Leg != "caller" {
				t.Errorf("parties %+v", m.Channels)
			}
		})
	}
}

// Whatever the network does to packets within a second, those that arrive are heard where they belong, and nothing else.
func TestTimelineUnderAnyNetwork(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		from := talker{freq: 440, seq: uint16(random.Uint32()), ts: random.Uint32()}
		s := newSession()
		const n = 150
		type arrival struct {
			i  int
			ms float64
		}
		var arrivals []arrival
		came := make([]bool, n)
		for i := range n {
			for range random.IntN(4) { // lost, once, twice or three times
				came[i] = true
				arrivals = append(arrivals, arrival{i, float64(i*20) + random.Float64()*300})
			}
		}
		slices.SortStableFunc(arrivals, func(a, b arrival) int { return int(math.Copysign(1, a.ms-b.ms)) })
		// The first to arrive is the anchor: everything is as far from its place as that one was late.
		shift := -int64(arrivals[0].ms*8) + int64(arrivals[0].i*ptime)
		for _, a := range arrivals {
			s.hears(left, from.packet(a.i), a.ms)
		}
		sound, _ := s.play(t)
		var want []stretch
		for i, is := range came {
			from := int64(i*ptime) - shift
			if from >= 0 && from+ptime <= int64(len(sound[left])) {
				want = append(want, stretch{from: from, to: from + ptime, shift: shift, quiet: !is})
			}
		}
		expect(t, "caller", sound[left], 440, want...)
	}
}

func TestBothSidesOnOneTimeline(t *testing.T) {
	s := newSession()
	caller, agent := talker{freq: 440, ts: 77}, talker{freq: 880, codec: pcma, ts: 5_000_000, ssrc: 4}
	for i := range 200 {
		s.hears(left, caller.packet(i), float64(i*20))
		if i >= 10 {
			s.hears(right, agent.packet(i), float64(i*20))
		}
	}
	sound, m := s.play(t)
	expect(t, "caller", sound[left], 440, stretch{to: 200 * ptime})
	expect(t, "agent", sound[right], 880, stretch{to: 10 * ptime, quiet: true}, stretch{from: 10 * ptime, to: 200 * ptime})
	if m.Channels[right].Parties[0] != (Party{Leg: "agent", From: 10 * ptime, To: 200 * ptime}) {
		t.Errorf("agent's part: %+v", m.Channels[right].Parties)
	}
}

// A side that changes its codec in the middle of a second sounds on.
func TestCodecChange(t *testing.T) {
	s := newSession()
	before, after := talker{freq: 440}, talker{freq: 440, codec: pcma}
	for i := range 200 {
		k := before
		if i >= 70 {
			k = after
		}
		s.hears(left, k.packet(i), float64(i*20))
	}
	sound, _ := s.play(t)
	expect(t, "caller", sound[left], 440, stretch{to: 200 * ptime})
}

func TestPauseLeavesAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, caller := newSession(), talker{freq: 440}
		for i := range 150 {
			switch i {
			case 50:
				s.Pause()
				s.Pause()
			case 100:
				s.Resume()
				s.Resume()
			}
			s.hears(left, caller.packet(i), float64(i*20))
			time.Sleep(20 * time.Millisecond)
		}
		sound, m := s.play(t)
		expect(t, "caller", sound[left], 440, stretch{to: 50 * ptime},
			stretch{from: 50 * ptime, to: 100 * ptime, quiet: true}, stretch{from: 100 * ptime, to: 150 * ptime})
		if len(m.Gaps) != 1 || m.Gaps[0] != (Gap{From: 50 * ptime, To: 100 * ptime, Why: "paused"}) {
			t.Errorf("gaps %+v", m.Gaps)
		}
		if c := m.Channels[left]; c.Lost != 0 || c.Received != 100 {
			t.Errorf("what was paused counts as lost: %+v", c)
		}
	})
}

// A recording that ends in a pause ended with its last kept frame.
func TestEndIsTheLastKeptFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, caller := newSession(), talker{freq: 440}
		s.entry.StartedAt = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		for i := range 100 {
			if i == 50 {
				s.Pause()
			}
			s.hears(left, caller.packet(i), float64(i*20))
			time.Sleep(20 * time.Millisecond)
		}
		_, m := s.play(t)
		if want := s.entry.StartedAt.Add(49 * 20 * time.Millisecond); !m.EndedAt.Equal(want) || !m.DueAt.Equal(want.Add(14*24*time.Hour)) {
			t.Errorf("ended %v, due %v", m.EndedAt, m.DueAt)
		}
	})
}

// What a packet says of itself, whatever it is, moves the timeline no further than two seconds from its arrival.
func TestHostileTimestampsStayNearTheirArrival(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	s := newSession()
	for i := range 2000 {
		p := call.Packet{Seq: uint16(random.Uint32()), TS: random.Uint32(), SSRC: uint32(random.IntN(3)), Payload: make([]byte, 1+random.IntN(maxFrame))}
		s.hears(left, p, float64(i))
	}
	sound, _ := s.play(t)
	if most := 2*Rate + mostAhead + maxFrame; len(sound[left]) > most {
		t.Errorf("%d samples from two seconds of packets", len(sound[left]))
	}
}

func TestPacketCostsNoMemory(t *testing.T) {
	s, p := newSession(), talker{}.packet(0)
	s.pending = make([]byte, 0, usualPending)
	i := 0
	allocs := testing.AllocsPerRun(1000, func() {
		if i%10 == 0 {
			s.pending = s.pending[:0] // as a flush does
		}
		p.Seq, p.TS, p.At = uint16(i), uint32(i*ptime), s.base.Add(time.Duration(i)*20*time.Millisecond)
		s.taps[left].Heard(p)
		i++
	})
	if allocs != 0 {
		t.Errorf("%v allocations a packet", allocs)
	}
}

// While the disk stands still sound waits in memory, up to a bound; what is dropped then is counted.
func TestPendingIsBounded(t *testing.T) {
	s, caller := newSession(), talker{freq: 440}
	const n = 8000
	for i := range n {
		s.hears(left, caller.packet(i), float64(i*20))
	}
	if len(s.pending) > maxPending {
		t.Errorf("%d bytes wait", len(s.pending))
	}
	_, m := s.play(t)
	if m.Dropped == 0 || int(m.Dropped) >= n/2 {
		t.Errorf("%d dropped of %d", m.Dropped, n)
	}
}

func TestG711(t *testing.T) {
	for _, c := range []codec{pcmu, pcma} {
		if v := c.table()[c.silence()]; v < -8 || v > 8 {
			t.Errorf("silence of %d is %d", c, v)
		}
		for b := range 256 {
			if back := nearest(c, c.table()[b]); c.table()[back] != c.table()[b] {
				t.Errorf("codec %d: %d comes back as %d", c, b, back)
			}
		}
	}
	// ITU-T G.711: the ends of both ranges.
	if pcmu.table()[0x80] != 32124 || pcmu.table()[0] != -32124 || pcma.table()[0xAA] != 32256 || pcma.table()[0x2A] != -32256 {
		t.Errorf("%d %d %d %d", pcmu.table()[0x80], pcmu.table()[0], pcma.table()[0xAA], pcma.table()[0x2A])
	}
}
