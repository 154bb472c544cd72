package recording

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// seedSegment is a whole segment of the spool: one recording of three chunks.
func seedSegment(t testing.TB) []byte {
	t.Helper()
	s, caller := newSession(), talker{freq: 440}
	s.aead, _ = derive(s.key, nil, useSpool)
	s.opener = opener{ID: s.raw, City: "aspen", Call: "cl_x", Node: "n1", Started: time.Unix(1_700_000_000, 0), Segment: 1, Wrapped: make([]byte, wrappedSize)}
	b := append([]byte(segmentMagic), 0, 0, 0, 1)
	b, err := s.opener.append(b)
	if err != nil {
		t.Fatal(err)
	}
	var aad []byte
	for n := range 3 {
		p := caller.packet(n)
		p.Payload = p.Payload[:20] // small: the fuzzer works faster
		s.hears(left, p, float64(n*20))
		items, _, _ := s.take(nil)
		at := len(b)
		b = s.seal(b, items, n == 2, &aad)
		s.tail, s.chunks = place{1, uint32(at)}, s.chunks+1
	}
	return b
}

// FuzzSpool gives the reader of the spool's segments anything at all. It must come to an end without a panic, take no more
// memory than the segment has bytes, and open nothing that was not sealed.
func FuzzSpool(f *testing.F) {
	seed := seedSegment(f)
	f.Add(seed)
	f.Add(seed[:len(seed)-5])
	f.Add(seed[:segmentHeader])
	f.Add(bytes.Replace(seed, []byte("aspen"), []byte("aspex"), 1))
	f.Add(append(bytes.Clone(seed), 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0))
	f.Add([]byte{})
	aead, err := derive(newSession().key, nil, useSpool)
	if err != nil {
		f.Fatal(err)
	}
	whole := map[uint32][]byte{}
	_, err = scan(bytes.NewReader(seed), func(_ uint32, body []byte) error {
		if c, err := readChunk(body); err == nil {
			plain, err := openSpooled(aead, "aspen", c, nil)
			whole[c.number] = plain
			return err
		}
		return nil
	})
	if err != nil || len(whole) != 3 {
		f.Fatal(len(whole), err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := scan(bytes.NewReader(b), func(_ uint32, body []byte) error {
			if body[0] == recordOpener {
				_, _ = readOpener(body)
				return nil
			}
			c, err := readChunk(body)
			if err != nil {
				return nil
			}
			plain, err := openSpooled(aead, "aspen", c, nil)
			if err == nil && !bytes.Equal(plain, whole[c.number]) {
				t.Errorf("chunk %d opens to something else", c.number)
			}
			var all totals
			_ = all.fold(c.sealed, func(byte, uint32, []byte) {}) // as if it had opened
			return nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%v", err)
		}
	})
}

// FuzzRecover starts a service's survey on a spool that is anything at all.
func FuzzRecover(f *testing.F) {
	f.Add(seedSegment(f))
	f.Add([]byte(segmentMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "00000001.seg"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		sp, err := openSpool(dir, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer sp.close()
		for _, n := range sp.numbers(0) {
			_, err := sp.scan(n, func(p place, body []byte) error {
				again, err := sp.read(p, nil)
				if err != nil || !bytes.Equal(again, body) {
					t.Errorf("a record that was scanned does not read: %v", err)
				}
				return nil
			})
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("%v", err)
			}
		}
		if err := sp.release(unread); err != nil {
			t.Error(err)
		}
	})
}

// FuzzObject gives the reader of objects anything at all: what plays is what was recorded, or it is damage.
func FuzzObject(f *testing.F) {
	s, caller := newSession(), talker{freq: 440}
	for i := range 75 {
		s.hears(left, caller.packet(i), float64(i*20))
	}
	seed := s.object(f)
	p, err := listen(seed, s.key)
	if err != nil {
		f.Fatal(err)
	}
	whole, err := io.ReadAll(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(seed[:objectHeader])
	f.Add(seed[:len(seed)-1])
	f.Add(append(bytes.Clone(seed), 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := listen(b, s.key)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("open: %v", err)
			}
			return
		}
		defer p.Close()
		wav, err := io.ReadAll(p)
		switch {
		case err == nil && !bytes.Equal(wav, whole):
			t.Error("plays something else")
		case err != nil && !errors.Is(err, ErrDamaged):
			t.Errorf("read: %v", err)
		case !bytes.HasPrefix(whole, wav):
			t.Error("noise came before the damage was found")
		}
	})
}

// FuzzTimeline gives the taps packets of any form: nothing panics, and the object holds together.
func FuzzTimeline(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x00\xa0\x01\x05hello\x08\x02\x00\x00\x01\x40\x01\x03abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newSession()
		for ms := 0.0; len(b) >= 8; ms += 20 {
			p := talker{}.packet(0)
			p.Type, p.Seq, p.SSRC = b[0], uint16(b[1])<<8|uint16(b[2]), uint32(b[6])
			p.TS = uint32(b[3])<<24 | uint32(b[4])<<12 | uint32(b[5])
			n := min(int(b[7])*9, len(b)-8)
			p.Payload = b[8 : 8+n]
			s.hears(int(b[0])&1, p, ms)
			b = b[8+n:]
		}
		s.play(t)
	})
}
