package media

import (
	"testing"
	"testing/synctest"
	"time"
)

// pressTo lets a party press a key for 100 ms, as RFC 4733 has it: updates, and the end three times.
func pressTo(p *party, code byte, from, to int) {
	h := p.next
	h.PayloadType = 101
	for i := from; i < to; i++ {
		length, flags := min(i+1, 5)*frameSize, byte(10)
		if i >= 4 {
			flags |= eventEnd
		}
		h.Marker = i == 0
		p.sendFrom(p.addr, h, []byte{code, flags, byte(length >> 8), byte(length)})
		h.SequenceNumber++
		time.Sleep(Ptime)
	}
	p.next.SequenceNumber = h.SequenceNumber
}

// keysIn is the keys that packets tell of, as their receiver would.
func keysIn(ps []timed) string {
	var in keyIn
	keys := ""
	for _, p := range ps {
		if p.PayloadType != 101 {
			continue
		}
		if key := in.take(&arrival{kind: kindEvent, ts: p.Timestamp, ssrc: p.SSRC, payload: p.Payload}); key != 0 {
			keys += string(key)
		}
	}
	return keys
}

func TestKeysAreHeardByTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gather(t, PCMU, PCMA, PCMU)
		g.confer()
		g.talk(20, 0, 1, 2)
		g.to()
		pressTo(g.all[0], 7, 0, 7)
		g.all[0].next.Timestamp += 7 * frameSize
		pressTo(g.all[0], 11, 0, 7)
		g.all[0].next.Timestamp += 7 * frameSize
		g.talk(40, 0, 1, 2)
		got := g.to()
		for i, want := range []string{"", "7#", "7#"} {
			if keys := keysIn(got[i]); keys != want {
				t.Errorf("party %d hears the keys %q, want %q", i, keys, want)
			}
			for n := 1; n < len(got[i]); n++ {
				if got[i][n].SequenceNumber != got[i][n-1].SequenceNumber+1 {
					t.Errorf("party %d: packet %d is out of order", i, n)
				}
			}
		}
		hears(t, "after the keys", sound(got[1][len(got[1])-10:]), 0, 2)
		if keys := g.all[0].told.all().digits; keys != "7#" {
			t.Errorf("the handler is told %q", keys)
		}
		pressTo(g.all[1], 1, 0, 3) // its end never comes
		time.Sleep(time.Second)
		synctest.Wait()
		if keys := keysIn(g.to()[2]); keys != "1" {
			t.Errorf("a key without an end is heard as %q", keys)
		}
	})
}

// A key of which the other side has heard the beginning by relay is not pressed once more by the conference.
func TestKeyAcrossHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gather(t, PCMU, PCMU, PCMU)
		Join(g.all[0].stream, g.all[1].stream)
		g.talk(10, 0, 1, 2)
		pressTo(g.all[0], 7, 0, 3)
		g.confer()
		pressTo(g.all[0], 7, 3, 7)
		g.all[0].next.Timestamp += 7 * frameSize
		g.talk(40, 0, 1, 2)
		pressTo(g.all[0], 8, 0, 7)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := g.to(); keysIn(got[1]) != "78" || keysIn(got[2]) != "8" {
			t.Errorf("heard %q and %q", keysIn(got[1]), keysIn(got[2]))
		}
	})
}
