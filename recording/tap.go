package recording

import (
	"context"
	"crypto/cipher"
	"sync"
	"time"

	"callhall/call"
)

// A recording's frames wait in memory for the next flush, a quarter of a second: about 4 KB. If the disk stands still
// they wait longer, up to maxPending bytes (a minute); frames that come then are counted as dropped.
const (
	usualPending = 6 << 10
	maxPending   = 1 << 20
)

// live is a recording while its call goes on. It implements call.Recording.
type live struct {
	service *Service
	entry   Entry // city, ids; its start is guarded by mu, the rest is known at the end
	raw     rawID
	key     []byte
	aead    cipher.AEAD // of its spool chunks
	taps    [2]tap

	mu      sync.Mutex // guards what follows; a packet loop holds it for as long as one frame takes to copy
	begun   bool       // the first frame has come: a recording begins with sound, not with the search for an agent
	base    time.Time  // its arrival on the monotonic clock, which all others are counted from
	tracks  [2]track
	totals  totals
	pending []byte // items for the next chunk
	closed  bool

	// Owned by whoever holds the service's flush lock.
	chunks   uint32 // how many have been written
	tail     place  // the newest of them
	opened   bool   // the opening record is in the spool,
	openedAt place  // here
	opener   opener
	kept     *kept         // set when the last chunk is on the disk, before
	done     chan struct{} // is closed
}

// tap is one side's ear.
type tap struct {
	live *live
	side int
}

// Heard copies the packet's sound to its place in time. It does not block and, in steady state, does not allocate.
func (t *tap) Heard(p call.Packet) {
	if c := codec(p.Type); !c.known() || len(p.Payload) == 0 || len(p.Payload) > maxFrame {
		return // comfort noise is silence; a telephone-event (RFC 4733) is never kept
	}
	t.live.hear(t.side, &p)
}

func (l *live) hear(side int, p *call.Packet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &l.tracks[side]
	if l.closed {
		return
	}
	if l.totals.paused {
		t.skip(p)
		return
	}
	if !l.begun {
		l.begin(p.At)
	}
	at := samples(p.At.Sub(l.base))
	if at < 0 {
		return
	}
	pos, keep := t.place(p, at)
	if !keep || pos < 0 {
		return
	}
	if len(l.pending)+len(p.Payload) > maxPending {
		l.totals.dropped++
		return
	}
	l.pending = appendItem(l.pending, frameKind(codec(p.Type), side), uint32(pos), p.Payload)
	t.kept(pos, len(p.Payload))
	l.totals.heard = max(l.totals.heard, uint32(at))
	l.totals.end = max(l.totals.end, t.End)
}

// begin starts the recording's time with the frame that came at that moment. It is called with mu held, before anything
// of the recording is on the disk.
func (l *live) begin(at time.Time) {
	l.begun, l.base = true, at
	l.entry.StartedAt = l.service.clock.Now().UTC().Add(-time.Since(at)).Truncate(time.Microsecond)
	l.opener.Started = l.entry.StartedAt
}

// ID names the recording.
func (l *live) ID() call.RecordingID { return l.entry.ID }

// snapshot is the entry as it stands.
func (l *live) snapshot() Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entry
}

// Caller is the ear on the caller: the left channel.
func (l *live) Caller() call.Tap { return &l.taps[left] }

// Agent is the ear on the agent: the right channel.
func (l *live) Agent() call.Tap { return &l.taps[right] }

// Pause leaves a gap until Resume. Doing either twice is doing it once.
func (l *live) Pause() { l.mark(itemPause) }

// Resume ends the gap.
func (l *live) Resume() { l.mark(itemResume) }

func (l *live) mark(kind byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.totals.paused == (kind == itemPause) {
		return
	}
	if !l.begun { // a hold before the first word is no gap
		l.totals.paused = kind == itemPause
		return
	}
	at := uint32(max(0, samples(time.Since(l.base))))
	if kind == itemPause {
		l.totals.pause(at)
	} else {
		l.totals.resume(at)
	}
	l.pending = appendItem(l.pending, kind, at, nil)
}

// Close ends the recording: when it returns without error, its last frame is on the disk, sealed, and its due time is
// fixed. If ctx ends first, or ten seconds pass, the recording is finished all the same, by the next flush or the next start.
func (l *live) Close(ctx context.Context) (call.RecordingSummary, error) {
	l.mu.Lock()
	again := l.closed
	l.closed = true
	l.mu.Unlock()
	if again {
		return l.entry.failed(ErrClosed), ErrClosed
	}
	return l.service.finish(ctx, l)
}

// take hands over what waits, with the totals as they stand, and leaves spare in its place. wanted is false when there
// is nothing to write.
func (l *live) take(spare []byte) (items []byte, last, wanted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 && !l.closed {
		return nil, false, false
	}
	items = l.pending
	l.pending = spare[:0]
	l.totals.sides = [2]tally{l.tracks[left].tally, l.tracks[right].tally}
	return l.totals.append(items), l.closed, true
}
