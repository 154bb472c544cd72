package recording

import (
	"io"
	"runtime"
	"testing"
	"time"
)

// BenchmarkHeard is one packet on its way from the loop into a recording.
func BenchmarkHeard(b *testing.B) {
	s, p := newSession(), talker{}.packet(0)
	s.pending = make([]byte, 0, usualPending)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if i%12 == 0 {
			s.pending = s.pending[:0]
		}
		p.Seq, p.TS, p.At = uint16(i), uint32(i*ptime), s.base.Add(time.Duration(i)*20*time.Millisecond)
		s.taps[left].Heard(p)
		i++
	}
}

// BenchmarkSealChunk is a quarter second of both sides on its way into the spool's batch.
func BenchmarkSealChunk(b *testing.B) {
	s, k := newSession(), talker{}
	s.aead, _ = derive(s.key, nil, useSpool)
	for i := range 13 {
		s.hears(left, k.packet(i), float64(i*20))
		s.hears(right, k.packet(i), float64(i*20))
	}
	items, _, _ := s.take(nil)
	var batch, aad []byte
	b.SetBytes(int64(len(items)))
	b.ReportAllocs()
	for b.Loop() {
		batch = s.seal(batch[:0], items, false, &aad)
	}
}

// BenchmarkSealObject is one second on its way into an object.
func BenchmarkSealObject(b *testing.B) {
	s, err := newSealer("aspen", rawID{1}, make([]byte, keySize), 3600*Rate, 500)
	if err != nil {
		b.Fatal(err)
	}
	var plain [chunkPlain]byte
	var out []byte
	b.SetBytes(chunkPlain)
	for b.Loop() {
		out = s.sealChunk(out[:0], plain[:], 7)
	}
}

// BenchmarkGather is a minute's recording, from opened chunks to the object.
func BenchmarkGather(b *testing.B) {
	s, k := newSession(), talker{}
	for i := range 3000 {
		s.hears(left, k.packet(i), float64(i*20))
		s.hears(right, k.packet(i), float64(i*20))
	}
	items, _, _ := s.take(nil)
	kept := s.over()
	b.SetBytes(60 * 2 * Rate)
	for b.Loop() {
		given := false
		g, err := newGatherer("aspen", s.raw, s.key, kept.manifest(), func() ([]byte, error) {
			if given {
				return nil, io.EOF
			}
			given = true
			return items, nil
		})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, g); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListen opens an hour's recording in its middle and reads the first sound.
func BenchmarkListen(b *testing.B) {
	s, k := newSession(), talker{}
	s.hears(left, k.packet(0), 0)
	s.hears(left, k.packet(3600*50), 3600_000)
	object := s.object(b)
	for b.Loop() {
		p, err := listen(object, s.key)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Seek(p.Size()/2, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, p, 640); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory is what one recording holds while it goes on, flushed as it is in life.
func BenchmarkMemory(b *testing.B) {
	const n = 1000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		sessions := make([]session, n)
		k, spare := talker{}, []byte(nil)
		packets := make([]time.Time, 50)
		for j := range sessions {
			s := newSession()
			s.pending = make([]byte, 0, usualPending)
			s.aead, _ = derive(s.key, nil, useSpool)
			sessions[j] = s
		}
		p := k.packet(0)
		for i := range packets {
			for _, s := range sessions {
				p.Seq, p.TS = uint16(i), uint32(i*ptime)
				s.hears(left, p, float64(i*20))
				s.hears(right, p, float64(i*20))
				if i%13 == 12 {
					items, _, _ := s.take(spare)
					spare = items[:0]
				}
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/recording")
		runtime.KeepAlive(sessions)
	}
}
