package recording_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callhall/call"
	"callhall/recording"
	"callhall/recording/dirstore"
)

// copyTree keeps a copy of a directory aside, as a backup or a thief would.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	must(t, os.CopyFS(to, os.DirFS(from)))
}

func TestFourteenDays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRig(t, dir, options{idle: true})
	rec := r.begin()
	say(rec, time.Now(), 0, 100)
	s := closeIdle(t, r, rec)
	stored := storeIdle(t, r, s.ID)
	aside := t.TempDir()
	copyTree(t, filepath.Join(dir, "objects"), filepath.Join(aside, "objects"))
	before, err := r.catalog.Get(t.Context(), city, s.ID)
	must(t, err)

	r.clock.set(s.DueAt.Add(-time.Second))
	if n, err := r.EraseDue(t.Context()); n != 0 || err != nil {
		t.Fatalf("erased %d before due: %v", n, err)
	}
	r.heard(s.ID, 2)
	late, err := r.Open(t.Context(), city, s.ID)
	must(t, err)
	defer late.Close()

	r.clock.set(s.DueAt) // not erased yet, and refused all the same
	if _, err := r.Open(t.Context(), city, s.ID); !errors.Is(err, recording.ErrErased) {
		t.Errorf("opened at due: %v", err)
	}
	if _, err := io.ReadAll(late); !errors.Is(err, recording.ErrErased) {
		t.Errorf("played on past due: %v", err)
	}
	if n, err := r.EraseDue(t.Context()); n != 1 || err != nil {
		t.Fatalf("erased %d: %v", n, err)
	}
	r.checkErased(s, stored)

	// The minute is over: with the ciphertext kept aside and the database as it was, there is no key.
	r.clock.set(s.DueAt.Add(time.Minute))
	_, err = r.EraseDue(t.Context())
	must(t, err)
	_, err = r.ring.Unwrap(t.Context(), city, s.DueAt.Unix()/60, before.Wrapped, nil)
	if !errors.Is(err, recording.ErrNoKey) {
		t.Errorf("the minute's key lives: %v", err)
	}
	r.checkReturns(s, aside)
}

// closeIdle closes a recording of a service whose loops do not run.
func closeIdle(t *testing.T, r *rig, rec call.Recording) call.RecordingSummary {
	t.Helper()
	done := make(chan call.RecordingSummary)
	go func() { done <- r.end(rec) }()
	for {
		must(t, r.Flush())
		select {
		case s := <-done:
			return s
		case <-time.After(time.Millisecond):
		}
	}
}

// storeIdle lets the uploader run until a recording is stored.
func storeIdle(t *testing.T, r *rig, id call.RecordingID) recording.Status {
	t.Helper()
	r.stop()
	again := newRig(t, r.dir, options{clock: r.clock})
	st := again.await(id, recording.StateStored)
	again.stop()
	*r = *newRig(t, r.dir, options{clock: r.clock, idle: true})
	return st
}

// checkErased looks at everything that must and must not be there.
func (r *rig) checkErased(s call.RecordingSummary, was recording.Status) {
	t := r.t
	t.Helper()
	e, err := r.catalog.Get(t.Context(), city, s.ID)
	must(t, err)
	if e.State != recording.StateErased || e.Wrapped != nil || e.KeyDestroyedAt.IsZero() || e.ErasedAt.IsZero() || e.Certificate == "" {
		t.Errorf("tombstone %+v", e)
	}
	files(t, filepath.Join(r.dir, "objects"), func(path string, _ []byte) { t.Errorf("%s is still there", path) })
	st, err := r.Status(t.Context(), city, s.ID)
	if err != nil || st.Playable || st.State != recording.StateErased || !st.DueAt.Equal(was.DueAt) {
		t.Errorf("status %+v, %v", st, err)
	}
	leaves := r.book.of("recording.erased/1")
	if len(leaves) != 1 {
		t.Fatalf("%d certificates", len(leaves))
	}
	f := leaves[0].Facts
	for fact, want := range map[string]string{"recording": string(s.ID), "certificate": e.Certificate, "reason": "due", "versions": "1",
		"markers": "0", "uploads": "0", "late_seconds": "0", "due_at": s.DueAt.Format(time.RFC3339Nano),
		"ended_at": s.EndedAt.Format(time.RFC3339Nano), "probed": "dir: nothing found"} {
		if f[fact] != want {
			t.Errorf("certificate: %s is %q, want %q", fact, f[fact], want)
		}
	}
	if leaves[0].Call == "" || f["key_destroyed_at"] == "" || f["bytes_erased_at"] == "" || f["verified_at"] == "" {
		t.Errorf("certificate %+v", leaves[0])
	}
}

// checkReturns puts the ciphertext back: it cannot be heard, and is erased again.
func (r *rig) checkReturns(s call.RecordingSummary, aside string) {
	t := r.t
	t.Helper()
	name := filepath.FromSlash(recording.ObjectName(s.ID))
	b, err := os.ReadFile(filepath.Join(aside, "objects", name))
	must(t, err)
	must(t, r.objects.Put(t.Context(), recording.ObjectName(s.ID), int64(len(b)), bytes.NewReader(b)))
	if _, _, err := r.play(s.ID); !errors.Is(err, recording.ErrErased) {
		t.Errorf("what came back is played: %v", err)
	}
	swept, err := r.Sweep(t.Context())
	if err != nil || swept != (recording.Swept{Returned: 1}) {
		t.Errorf("swept %+v, %v", swept, err)
	}
	files(t, filepath.Join(r.dir, "objects"), func(path string, _ []byte) { t.Errorf("%s is there again", path) })
	if leaves := r.book.of("recording.erased/1"); len(leaves) != 2 || leaves[1].Facts["reason"] != "returned after erasure" {
		t.Errorf("%+v", leaves)
	}
}

// The database and the objects as they were before due, restored after: the ring has forgotten the minute.
func TestRestoredBackupOpensNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRig(t, dir, options{})
	s := r.keep(1)
	r.await(s.ID, recording.StateStored)
	r.stop()
	backup := t.TempDir()
	copyTree(t, filepath.Join(dir, "objects"), filepath.Join(backup, "objects"))
	db, err := os.ReadFile(filepath.Join(dir, "sealed.db"))
	must(t, err)

	now := &clock{now: s.DueAt.Add(time.Minute)}
	r = newRig(t, dir, options{clock: now})
	r.await(s.ID, recording.StateErased)
	r.stop()

	must(t, os.WriteFile(filepath.Join(dir, "sealed.db"), db, 0o600))
	copyTree(t, filepath.Join(backup, "objects", "rec"), filepath.Join(dir, "restored"))
	must(t, os.RemoveAll(filepath.Join(dir, "objects", "rec")))
	must(t, os.Rename(filepath.Join(dir, "restored"), filepath.Join(dir, "objects", "rec")))
	now.set(s.EndedAt.Add(time.Hour)) // even with the clock put back
	r = newRig(t, dir, options{clock: now, idle: true})
	if _, _, err := r.play(s.ID); !errors.Is(err, recording.ErrDamaged) || !errors.Is(err, recording.ErrNoKey) {
		t.Errorf("a restored backup: %v", err)
	}
}

// The store was away for fourteen days: what waits in the spool is due all the same, and no copy of the spool opens.
func TestDueInTheSpool(t *testing.T) {
	t.Parallel()
	dir, away := t.TempDir(), &atomic.Bool{}
	away.Store(true)
	o := options{objects: func(in recording.Objects) recording.Objects { return &flaky{Objects: in, away: away} }}
	r := newRig(t, dir, o)
	s, open := r.keep(1), r.begin() // the open one keeps the segment
	say(open, time.Now(), 0, 10)
	must(t, r.Flush())
	if _, err := os.Stat(filepath.Join(dir, "spool", "00000001.seg")); err != nil {
		t.Fatal(err)
	}
	r.clock.set(s.DueAt.Add(time.Second))
	r.await(s.ID, recording.StateErased)
	if _, _, err := r.play(s.ID); !errors.Is(err, recording.ErrErased) {
		t.Errorf("%v", err)
	}
	// The segment is still there for the open recording. Its copy, on another machine without tombstones:
	other := t.TempDir()
	copyTree(t, filepath.Join(dir, "spool"), filepath.Join(other, "spool"))
	thief := newRig(t, other, options{idle: true})
	if _, err := thief.Open(t.Context(), city, s.ID); !errors.Is(err, recording.ErrNotFound) {
		t.Errorf("a copy of the spool opens it: %v", err)
	}
	if _, err := thief.Open(t.Context(), city, open.ID()); err != nil {
		t.Errorf("the other recording in the segment: %v", err)
	}
	r.end(open)
}

// One object that cannot be removed keeps no other's key alive, and is tried until it is gone.
func TestStubbornObject(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	first, second := r.keep(1), r.keep(1)
	r.await(first.ID, recording.StateStored)
	r.await(second.ID, recording.StateStored)
	dir := filepath.Dir(filepath.Join(r.dir, "objects", filepath.FromSlash(recording.ObjectName(first.ID))))
	path := filepath.Join(dir, string(first.ID))
	must(t, os.Remove(path)) // a directory in its place cannot be removed while it is not empty
	must(t, os.MkdirAll(filepath.Join(path, "x"), 0o700))
	r.clock.set(second.DueAt.Add(time.Second))
	r.await(second.ID, recording.StateErased)
	e, err := r.catalog.Get(t.Context(), city, first.ID)
	if err != nil || e.State == recording.StateErased || e.Wrapped != nil {
		t.Errorf("%+v, %v", e, err)
	}
	if len(r.book.of("recording.erased/1")) != 1 {
		t.Error("certified what is still there")
	}
	must(t, os.RemoveAll(path))
	r.await(first.ID, recording.StateErased)
}

// A city that was given another store: what lies in the old one is not called damaged, and the new one's true word that it
// has nothing is no proof that it is erased. With the old store back, it is.
func TestStoreWasChanged(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), &clock{now: start}
	r := newRig(t, dir, options{clock: now})
	s := r.keep(1)
	r.await(s.ID, recording.StateStored)
	was := r.objects.Place()
	r.stop()

	moved := options{clock: now, idle: true, objects: func(recording.Objects) recording.Objects {
		other, err := dirstore.Open(filepath.Join(dir, "other"))
		must(t, err)
		return other
	}}
	r = newRig(t, dir, moved)
	if _, err := r.Open(t.Context(), city, s.ID); !errors.Is(err, recording.ErrElsewhere) || errors.Is(err, recording.ErrDamaged) ||
		!strings.Contains(err.Error(), was) {
		t.Errorf("opened from another store: %v", err)
	}
	places, err := r.ForeignPlaces(t.Context())
	if err != nil || len(places) != 1 || places[was] != 1 {
		t.Errorf("elsewhere: %v, %v", places, err)
	}
	now.set(s.DueAt)
	if n, err := r.EraseDue(t.Context()); n != 0 || !errors.Is(err, recording.ErrElsewhere) || !strings.Contains(err.Error(), was) {
		t.Errorf("erased %d: %v", n, err)
	}
	e, err := r.catalog.Get(t.Context(), city, s.ID)
	must(t, err)
	if e.State != recording.StateStored || e.Wrapped != nil || e.KeyDestroyedAt.IsZero() || len(r.book.of("recording.erased/1")) != 0 {
		t.Errorf("%+v, %d certificates", e, len(r.book.of("recording.erased/1")))
	}
	if r.meter("callhall_erasure_due") != 1 {
		t.Error("it is not shown as due")
	}
	r.stop()

	r = newRig(t, dir, options{clock: now, idle: true})
	if n, err := r.EraseDue(t.Context()); n != 1 || err != nil {
		t.Errorf("erased %d: %v", n, err)
	}
	if leaves := r.book.of("recording.erased/1"); len(leaves) != 1 || leaves[0].Facts["versions"] != "1" || leaves[0].Facts["found"] != "" {
		t.Errorf("%+v", leaves)
	}
	if places, err := r.ForeignPlaces(t.Context()); err != nil || len(places) != 0 {
		t.Errorf("elsewhere: %v, %v", places, err)
	}
}

// An object that was gone before we erased it: the certificate says that nothing was found.
func TestNothingFoundIsSaid(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	s := r.keep(1)
	r.await(s.ID, recording.StateStored)
	must(t, os.RemoveAll(filepath.Join(r.dir, "objects", "rec")))
	r.clock.set(s.DueAt)
	r.await(s.ID, recording.StateErased)
	if leaves := r.book.of("recording.erased/1"); len(leaves) != 1 || leaves[0].Facts["found"] != "nothing" {
		t.Errorf("%+v", leaves)
	}
}

// dead is a store that answers nothing until it is let go, and then with an error.
type dead struct {
	recording.Objects
	free chan struct{}
}

func (d *dead) Erase(ctx context.Context, _ string) (recording.Erased, error) {
	select {
	case <-d.free:
	case <-ctx.Done():
	}
	return recording.Erased{}, errAway
}

// One city's dead store, with more due in it than the eraser reads at once, and longer, holds up no other city.
func TestDeadStoreHoldsUpItsOwnCityOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	theirs, err := dirstore.Open(filepath.Join(dir, "theirs"))
	must(t, err)
	stuck := &dead{Objects: theirs, free: make(chan struct{})}
	o := options{clock: &clock{now: start}, others: map[call.CityID]recording.Objects{"helena": stuck}}
	r := newRig(t, dir, o)
	s := r.keep(1)
	r.await(s.ID, recording.StateStored)
	r.stop()
	o.idle = true
	r = newRig(t, dir, o)
	var all sync.WaitGroup
	for range 600 {
		all.Go(func() {
			e := recording.Entry{City: "helena", ID: call.NewRecordingID(), StartedAt: start, EndedAt: start, DueAt: start.Add(time.Hour)}
			if err := errors.Join(r.catalog.Seal(t.Context(), e), r.catalog.Store(t.Context(), e.City, e.ID, theirs.Place(), 1),
				r.catalog.DestroyKey(t.Context(), e.City, e.ID, e.DueAt)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r.clock.set(s.DueAt)
	must(t, r.catalog.DestroyKey(t.Context(), city, s.ID, s.DueAt)) // an earlier pass has come so far
	all.Go(func() {
		if n, err := r.EraseDue(t.Context()); n != 1 || !errors.Is(err, errAway) {
			t.Errorf("erased %d, %v", n, err)
		}
	})
	r.await(s.ID, recording.StateErased)
	close(stuck.free)
	all.Wait()
	if n := r.meter("callhall_erasure_due"); n != 600 {
		t.Errorf("%v are shown as due", n)
	}
}

// doubt is a clock whose readings disagree.
type doubt struct {
	*clock
	wall *clock
	sure atomic.Bool
}

func (d *doubt) Latest() time.Time { return d.wall.Now() }
func (d *doubt) Confirmed() bool   { return d.sure.Load() }

// A clock in doubt holds an upload up and does not lose it.
func TestUploadWaitsForTheClocks(t *testing.T) {
	t.Parallel()
	d := &doubt{clock: &clock{now: start}, wall: &clock{now: start.Add(20 * 24 * time.Hour)}}
	r := newRig(t, t.TempDir(), options{clock: d.clock, config: func(c *recording.Config) { c.Clock = d }})
	s := r.keep(1)
	if st := r.await(s.ID, recording.StateSealed); st.Playable {
		t.Error("played past due by the wall clock")
	}
	d.wall.set(start)
	r.await(s.ID, recording.StateStored)
	r.heard(s.ID, 1)
}

// Past due by either clock nothing is played; nothing is destroyed until they agree.
func TestClocksDisagree(t *testing.T) {
	t.Parallel()
	d := &doubt{clock: &clock{now: start}, wall: &clock{now: start}}
	d.sure.Store(true)
	dir := t.TempDir()
	r := newRig(t, dir, options{clock: d.clock, config: func(c *recording.Config) { c.Clock = d }})
	s := r.keep(1)
	r.await(s.ID, recording.StateStored)
	r.stop()
	d.wall.set(s.DueAt)
	d.sure.Store(false)
	r = newRig(t, dir, options{clock: d.clock, idle: true, config: func(c *recording.Config) { c.Clock = d }})
	if _, err := r.Open(t.Context(), city, s.ID); !errors.Is(err, recording.ErrErased) {
		t.Errorf("opened past due by the wall clock: %v", err)
	}
	d.set(s.DueAt.Add(time.Hour))
	if n, err := r.EraseDue(t.Context()); n != 0 || !errors.Is(err, recording.ErrUnconfirmed) {
		t.Errorf("erased %d in doubt: %v", n, err)
	}
	if r.meter("callhall_erasure_clock_confirmed") != 0 {
		t.Error("the doubt is not shown")
	}
	if r.meter("callhall_erasure_due") != 1 || r.meter("callhall_erasure_last_pass_timestamp_seconds") != 0 {
		t.Error("in doubt: what is due is not shown, or a pass is that was none")
	}
	d.sure.Store(true)
	if n, err := r.EraseDue(t.Context()); n != 1 || err != nil {
		t.Errorf("erased %d: %v", n, err)
	}
	if r.meter("callhall_erasure_due") != 0 || int64(r.meter("callhall_erasure_last_pass_timestamp_seconds")) != d.Now().Unix() {
		t.Error("the pass is not shown")
	}
}

// slow is a store whose puts have all bytes on the way and then take until they are let go.
type slow struct {
	recording.Objects
	began, free, put chan struct{}
}

func (s *slow) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	b, err := io.ReadAll(r)
	s.began <- struct{}{}
	<-s.free
	defer close(s.put)
	return errors.Join(err, s.Objects.Put(ctx, name, size, bytes.NewReader(b)))
}

// An upload that is still going on when its recording falls due, and arrives when everything is erased, does not stay.
func TestUploadCrossesDue(t *testing.T) {
	t.Parallel()
	crossing := &slow{began: make(chan struct{}), free: make(chan struct{}), put: make(chan struct{})}
	r := newRig(t, t.TempDir(), options{objects: func(in recording.Objects) recording.Objects { crossing.Objects = in; return crossing }})
	s := r.keep(1)
	<-crossing.began
	r.clock.set(s.DueAt)
	r.await(s.ID, recording.StateErased)
	close(crossing.free)
	<-crossing.put
	r.stop() // waits for the uploader
	files(t, filepath.Join(r.dir, "objects"), func(path string, _ []byte) { t.Errorf("%s arrived late and stayed", filepath.Base(path)) })
}

// liar is a store that says it has erased what it keeps.
type liar struct {
	recording.Objects
	honest atomic.Bool
}

func (l *liar) Erase(ctx context.Context, name string) (recording.Erased, error) {
	if l.honest.Load() {
		return l.Objects.Erase(ctx, name)
	}
	return recording.Erased{Versions: 1}, nil
}

// There is no certificate on the store's word alone; the key is gone all the same.
func TestErasureIsReadBack(t *testing.T) {
	t.Parallel()
	store := &liar{}
	r := newRig(t, t.TempDir(), options{objects: func(in recording.Objects) recording.Objects { store.Objects = in; return store }})
	s := r.keep(1)
	r.await(s.ID, recording.StateStored)
	r.clock.set(s.DueAt.Add(2 * time.Hour))
	if n, err := r.EraseDue(t.Context()); n != 0 || err == nil {
		t.Errorf("erased %d, %v", n, err)
	}
	e, err := r.catalog.Get(t.Context(), city, s.ID)
	if err != nil || e.State == recording.StateErased || e.Wrapped != nil || len(r.book.of("recording.erased/1")) != 0 {
		t.Errorf("%+v, %v", e, err)
	}
	if r.meter("callhall_erasure_due") != 1 || r.meter("callhall_erasure_oldest_overdue_seconds") != 3600 {
		t.Error("it is not shown as overdue")
	}
	store.honest.Store(true)
	r.await(s.ID, recording.StateErased)
	if leaves := r.book.of("recording.erased/1"); len(leaves) != 1 || leaves[0].Facts["late_seconds"] != "7200" {
		t.Errorf("%+v", leaves)
	}
}
