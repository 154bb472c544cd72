package ani

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callhall/call"
)

// gatedLedger does before before it appends a leaf; an error of before is Append's.
type gatedLedger struct {
	*memLedger
	before func(ctx context.Context, city call.CityID, leaf call.Leaf) error
}

func (l *gatedLedger) Append(ctx context.Context, city call.CityID, leaf call.Leaf) error {
	if err := l.before(ctx, city, leaf); err != nil {
		return err
	}
	return l.memLedger.Append(ctx, city, leaf)
}

func released(id string) call.Leaf {
	return call.Leaf{Kind: KindRelease, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Call: call.NewID(), Facts: map[string]string{"release": id}}
}

// idsOf are the ids of leaves, in order.
func idsOf(leaves []call.Leaf) (ids []string) {
	for _, leaf := range leaves {
		ids = append(ids, leafID(leaf))
	}
	slices.Sort(ids)
	return ids
}

// While a replay fails, every leaf that is in memory alone stays there.
func TestAFailedReplayLosesNoLeafOfMemory(t *testing.T) {
	f := newInside(t, nil) // there is no spool
	ids := []call.ID{f.arrive(t, "a", presentHeaders).Call, f.arrive(t, "a", presentHeaders).Call, f.arrive(t, "b", presentHeaders).Call}
	f.book.take("a")
	f.book.take("b")
	f.book.broken = errTestDisk
	for i, id := range ids {
		if _, err := f.Egress(t.Context(), emergency([]call.CityID{"a", "a", "b"}[i], id)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := f.replay(t.Context()); !errors.Is(err, errTestDisk) || f.waiting() != 3 {
			t.Fatalf("%d of 3 wait, %v", f.waiting(), err)
		}
	}
	f.book.broken = nil
	if err := f.replay(t.Context()); err != nil || f.waiting() != 0 || len(f.book.take("a")) != 2 || len(f.book.take("b")) != 1 {
		t.Errorf("%d wait, %v", f.waiting(), err)
	}
}

// One city's frozen ledger, and one city's lost key, hold up no other city's leaves.
func TestNoCityWaitsForAnother(t *testing.T) {
	f, path, again := newSpooling(t)
	for _, city := range []call.CityID{"frozen", "keyless", "a"} {
		if err := f.spoolLeaves(city, released("of "+string(city))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(f.keys.path("keyless")); err != nil {
		t.Fatal(err)
	}
	again()
	f.ledger = &gatedLedger{f.book, func(_ context.Context, city call.CityID, _ call.Leaf) error {
		if city == "frozen" {
			return errTestDisk
		}
		return nil
	}}
	if err := f.replay(t.Context()); !errors.Is(err, errTestDisk) {
		t.Error(err)
	}
	if n := len(f.book.take("a")); n != 1 || f.waiting() != 1 {
		t.Errorf("%d leaves of a; %d wait", n, f.waiting())
	}
	if files := asides(t, filepath.Dir(path)); len(files) != 1 || f.spool.asides.Load() != 1 {
		t.Errorf("set aside: %v", files)
	}
}

// An append that was given up on while a replay runs lands by itself, and its leaf is not written again.
func TestALeafWhoseAppendIsUnderWayIsNotMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := newSpooling(t)
		moving, stuck := make(chan struct{}), make(chan struct{})
		var once sync.Once
		f.ledger = &gatedLedger{f.book, func(_ context.Context, _ call.CityID, leaf call.Leaf) error {
			if leafID(leaf) == "old" {
				<-moving
			} else {
				once.Do(func() { <-stuck }) // the first append alone
			}
			return nil
		}}
		if err := f.spoolLeaves("a", released("old")); err != nil {
			t.Fatal(err)
		}
		moved := make(chan error, 1)
		go func() { moved <- f.replay(t.Context()) }()
		synctest.Wait() // it has begun, and found nothing under way
		f.appendUrgently(t.Context(), "a", released("new"))
		if f.waiting() != 2 {
			t.Errorf("%d wait", f.waiting())
		}
		close(moving)
		if err := <-moved; err != nil || f.waiting() != 1 {
			t.Errorf("%d wait, %v", f.waiting(), err)
		}
		close(stuck)
		synctest.Wait()
		if err := f.replay(t.Context()); err != nil || f.waiting() != 0 {
			t.Errorf("%d wait, %v", f.waiting(), err)
		}
		if ids := idsOf(f.book.take("a")); !slices.Equal(ids, []string{"new", "old"}) {
			t.Errorf("the ledger has %v", ids)
		}
	})
}

// A leaf that stands in the spool twice is in the ledger once.
func TestALeafThatWasSpooledTwiceIsWrittenOnce(t *testing.T) {
	f, _, _ := newSpooling(t)
	if err := f.spoolLeaves("a", released("one"), released("one"), released("two")); err != nil {
		t.Fatal(err)
	}
	if err := f.replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ids := idsOf(f.book.take("a")); !slices.Equal(ids, []string{"one", "two"}) {
		t.Error(ids)
	}
}

// A ledger that takes nothing is asked with one leaf at a time, ever more seldom; one that is back gets them in
// commits of a bounded size.
func TestAReplayIsGentle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := newSpooling(t)
		var mu sync.Mutex
		asked, now, most, away := 0, 0, 0, true
		f.ledger = &gatedLedger{f.book, func(context.Context, call.CityID, call.Leaf) error {
			mu.Lock()
			asked, now = asked+1, now+1
			most = max(most, now)
			fails := away
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			if fails {
				return errTestDisk
			}
			return nil
		}}
		for range 300 {
			if err := f.spoolLeaves("a", released(string(call.NewReleaseID()))); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { f.Run(ctx) })
		time.Sleep(10 * time.Minute)
		mu.Lock()
		if asked < 8 || asked > 15 {
			t.Errorf("asked %d times in ten minutes", asked)
		}
		away = false
		mu.Unlock()
		time.Sleep(maxPause + housekeeping)
		if f.waiting() != 0 || most > maxTogether || most < 2 {
			t.Errorf("%d wait; %d appends at once", f.waiting(), most)
		}
		cancel()
		running.Wait()
	})
}

// With the disk and the ledger hanging the call to 911 waits half a second in all, who asks again waits no longer than
// their ctx, and the leaf is not lost.
func TestAHungDiskDoesNotHoldUpAnEmergency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := newSpooling(t)
		id := f.arrive(t, "a", presentHeaders).Call
		f.book.take("a")
		hung := make(chan struct{})
		f.book.hold = hung
		f.spool.keys = func(city call.CityID, open func([]Key) error) error { <-hung; return f.withKeys(city, open) }
		asked := time.Now()
		var again sync.WaitGroup
		again.Go(func() {
			time.Sleep(time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := f.Egress(ctx, emergency("a", id)); !errors.Is(err, context.DeadlineExceeded) || time.Since(asked) != 101*time.Millisecond {
				t.Errorf("asked again: %v after %v", err, time.Since(asked))
			}
		})
		shown, err := f.Egress(t.Context(), emergency("a", id))
		if err != nil || shown.Number.Reveal() == "" || time.Since(asked) != urgentWait {
			t.Errorf("%+v after %v, %v", shown, time.Since(asked), err)
		}
		again.Wait()
		if f.waiting() != 1 {
			t.Errorf("%d wait in memory", f.waiting())
		}
		close(hung)
		synctest.Wait()
		if err := f.replay(t.Context()); err != nil || f.waiting() != 0 || len(f.book.take("a")) != 1 {
			t.Errorf("%d wait, %v", f.waiting(), err)
		}
	})
}

// A leg that is no emergency's waits no longer than its ctx, and shows nothing.
func TestALegWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInside(t, nil)
		id := f.arrive(t, "a", presentHeaders).Call
		hung := make(chan struct{})
		f.book.hold = hung
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		shown, err := f.Egress(ctx, Outgoing{City: "a", Call: id, To: PartyAgent, Whom: "ana", Secured: true, By: "engine"})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second || shown.Mask.Reveal() != "" {
			t.Errorf("%+v after %v, %v", shown, time.Since(began), err)
		}
		close(hung)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}

// The accounting has its line of a hand-over to 911 although the register was away until the process was gone.
func TestALineOfAnAccountingOutlivesTheProcess(t *testing.T) {
	f, path, again := newSpooling(t)
	id := f.arrive(t, "a", presentHeaders).Call
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.mem.broken = errTestDisk
	if _, err := f.Egress(t.Context(), emergency("a", id)); err != nil {
		t.Fatal(err)
	}
	f.urgent.Wait()
	b, err := os.ReadFile(filepath.Join(filepath.Dir(path), "a.lines"))
	if err != nil || len(b) == 0 || bytes.Contains(b, []byte("2125550142")) || bytes.Contains(b, []byte(id)) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	again()
	if err := f.replay(t.Context()); !errors.Is(err, errTestDisk) {
		t.Error(err)
	}
	f.mem.broken = nil
	for range 2 {
		if err := f.replay(t.Context()); err != nil {
			t.Error(err)
		}
	}
	lines, err := f.disclosures().of(t.Context(), "a", id)
	if err != nil || len(lines) != 1 || lines[0].Body.Row != "D25" || lines[0].Body.To != "sos" {
		t.Errorf("%+v, %v", lines, err)
	}
	if records, _, _ := f.spooled(); records != 0 {
		t.Errorf("%d records are left", records)
	}
}

// A number that has come to its due time is not kept for the sake of the accounting.
func TestALineIsKeptNoLongerThanItsNumber(t *testing.T) {
	f, _, _ := newSpooling(t)
	id := f.arrive(t, "a", presentHeaders).Call
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.mem.broken = errTestDisk
	if _, err := f.Egress(t.Context(), emergency("a", id)); err != nil {
		t.Fatal(err)
	}
	f.urgent.Wait()
	f.now = f.now.Add(KeepFor)
	if err := f.replay(t.Context()); err != nil {
		t.Error(err)
	}
	if records, _, _ := f.spooled(); records != 0 {
		t.Errorf("%d records are left", records)
	}
}
