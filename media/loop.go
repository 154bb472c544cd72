package media

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// The 20 ms clock is cut into slots, so that the packets of all playing streams do not leave at once.
const (
	slots    = 10
	slotTime = Ptime / slots
)

// maxLate is how many slots a loop that was held up will catch up on: 100 ms. What is older is skipped, and timestamps
// leap over it.
const maxLate = 5 * slots

// A loop owns the clock of the streams that were leased on it. The carrier calls run; everything else may be called
// from any goroutine. A stream's lock may be held when the loop's is taken, never the other way round.
type loop struct {
	epoch   time.Time
	carrier carrier

	mu      sync.Mutex
	next    int64 // the first slot that run has not done, counted from epoch
	armed   int64 // the slot for which the carrier was asked to wake us; 0 is none
	idle    bool  // nothing is due ever: no slot is owed for the time until there is
	wheel   [slots][]ticker
	streams []*Stream
	due     []ticker  // used by run alone
	batch   []*Stream // likewise
}

// A ticker has work to do every 20 ms: a stream that makes sound of its own, or a mixer.
type ticker interface{ tick(slot int64) }

// slotAt is the number of the slot that is current at a time.
func (l *loop) slotAt(at time.Time) int64 { return int64(at.Sub(l.epoch) / slotTime) }

// run does everything that is due by now. Calls must not overlap.
func (l *loop) run(now time.Time) {
	due := l.slotAt(now)
	l.mu.Lock()
	from := max(l.next, due-maxLate)
	l.next, l.armed = due+1, 0
	l.mu.Unlock()
	for slot := from; slot <= due; slot++ {
		l.play(slot)
		if slot%slots == 0 {
			l.visit(slot/slots, now)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arm(time.Now())
}

// play lets the streams and mixers of one slot send their next 20 ms.
func (l *loop) play(slot int64) {
	l.mu.Lock()
	l.due = append(l.due[:0], l.wheel[slot%slots]...)
	l.mu.Unlock()
	for _, t := range l.due {
		t.tick(slot)
	}
}

// visit looks after one tenth of all streams, so that each has its turn every 200 ms.
func (l *loop) visit(round int64, now time.Time) {
	l.mu.Lock()
	l.batch = l.batch[:0]
	for i := int(round % slots); i < len(l.streams); i += slots {
		l.batch = append(l.batch, l.streams[i])
	}
	l.mu.Unlock()
	for _, s := range l.batch {
		s.visit(now)
	}
}

// arm asks the carrier to wake us for the next slot that has work, if it was not asked already. l.mu is held.
func (l *loop) arm(now time.Time) {
	if l.idle {
		l.next, l.idle = max(l.next, l.slotAt(now)), false
	}
	for slot := l.next; slot < l.next+slots; slot++ {
		if len(l.wheel[slot%slots]) == 0 && (slot%slots != 0 || len(l.streams) == 0) {
			continue
		}
		if l.armed == 0 || slot < l.armed {
			l.armed = slot
			l.carrier.wake(time.Duration(slot)*slotTime - now.Sub(l.epoch))
		}
		return
	}
	l.idle = true
}

// enter takes a stream into the loop's care.
func (l *loop) enter(s *Stream, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.slot = rand.Int64N(slots)
	l.streams = append(l.streams, s)
	l.arm(now)
}

// leave undoes enter and start.
func (l *loop) leave(s *Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams = without(l.streams, s)
	l.wheel[s.slot] = without(l.wheel[s.slot], ticker(s))
}

// start gives t its tick every 20 ms from here on, in that slot of each ten.
func (l *loop) start(t ticker, slot int64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wheel[slot] = append(l.wheel[slot], t)
	l.arm(now)
}

// stop undoes start.
func (l *loop) stop(t ticker, slot int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wheel[slot] = without(l.wheel[slot], t)
}

// load is how many streams the loop has.
func (l *loop) load() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.streams)
}

// without removes one x, putting the last in its place.
func without[T comparable](list []T, x T) []T {
	i := slices.Index(list, x)
	if i < 0 {
		return list
	}
	last := len(list) - 1
	list[i] = list[last]
	clear(list[last:])
	return list[:last]
}
