package recording_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"callhall/call"
	"callhall/recording"
	"callhall/recording/dirstore"
)

func TestRecordStorePlay(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	s := r.keep(3)
	r.heard(s.ID, 3) // playable at hang-up, wherever its bytes are by now
	st := r.await(s.ID, recording.StateStored)
	r.heard(s.ID, 3)
	if st.Length < 3*time.Second || st.Length != s.Length || !st.Playable || st.DueAt != s.DueAt || st.Wrapped != nil || st.Size == 0 {
		t.Errorf("status %+v", st)
	}
	r.stop()
	files(t, filepath.Join(r.dir, "spool"), func(path string, _ []byte) {
		t.Errorf("%s is still in the spool", filepath.Base(path))
	})
}

// A recording is heard whole at every moment around the one at which it leaves the spool for the store.
func TestHeardWhileItIsStored(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	for range 25 {
		s := r.keep(1)
		for stored := false; !stored; {
			st, err := r.Status(t.Context(), city, s.ID)
			must(t, err)
			stored = st.State == recording.StateStored
			r.heard(s.ID, 1)
		}
		if t.Failed() {
			return
		}
	}
}

// While the store is away everything waits in the spool and can be heard; a restart goes on where it stood.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	dir, away := t.TempDir(), &atomic.Bool{}
	away.Store(true)
	o := options{objects: func(in recording.Objects) recording.Objects { return &flaky{Objects: in, away: away} }}
	r := newRig(t, dir, o)
	first, second := r.keep(2), r.keep(1)
	r.heard(first.ID, 2)
	r.heard(second.ID, 1)
	if st := r.await(first.ID, recording.StateSealed); !st.Playable {
		t.Error("not playable")
	}
	r.stop()
	r = newRig(t, dir, o)
	if len(r.found) != 0 {
		t.Errorf("closed recordings were told as lost: %+v", r.found)
	}
	r.heard(first.ID, 2)
	away.Store(false)
	for _, s := range []call.RecordingSummary{first, second} {
		if st := r.await(s.ID, recording.StateStored); st.DueAt != s.DueAt {
			t.Errorf("due %v, was %v", st.DueAt, s.DueAt)
		}
		r.heard(s.ID, 1)
	}
}

// One city's store that is away delays no other city's uploads, however long it is waited for.
func TestStoreOfOneCityAway(t *testing.T) {
	t.Parallel()
	dir, away := t.TempDir(), &atomic.Bool{}
	away.Store(true)
	theirs, err := dirstore.Open(filepath.Join(dir, "theirs"))
	must(t, err)
	r := newRig(t, dir, options{others: map[call.CityID]recording.Objects{"helena": &flaky{Objects: theirs, away: away}},
		config: func(c *recording.Config) { c.Retry = time.Hour }})
	for range 3 {
		rec, err := r.Start(t.Context(), "helena", call.NewID(), call.Notice{})
		must(t, err)
		say(rec, time.Now(), 0, 50)
		r.end(rec)
	}
	for r.meter("callhall_recording_upload_failures_total") < 2 {
		runtime.Gosched()
	}
	r.await(r.keep(1).ID, recording.StateStored)
}

// flaky is a store that can be away, or lie.
type flaky struct {
	recording.Objects
	away *atomic.Bool
	cut  *atomic.Int64 // puts that lose their second half and say that all is well
}

var errAway = errors.New("the store is away")

func (f *flaky) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	if f.away != nil && f.away.Load() {
		return errAway
	}
	if f.cut != nil && f.cut.Add(-1) >= 0 {
		_, err := io.Copy(io.Discard, r)
		return errors.Join(err, f.Objects.Put(ctx, name, size/2, io.LimitReader(zeros{}, size/2)))
	}
	return f.Objects.Put(ctx, name, size, r)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A store that says it has what it has not does not cost the recording.
func TestTruncatedUploadIsNoticed(t *testing.T) {
	t.Parallel()
	cut := &atomic.Int64{}
	cut.Store(3)
	r := newRig(t, t.TempDir(), options{objects: func(in recording.Objects) recording.Objects { return &flaky{Objects: in, cut: cut} }})
	s := r.keep(2)
	r.await(s.ID, recording.StateStored)
	r.heard(s.ID, 2)
	if n := r.meter("callhall_recording_upload_failures_total"); n != 3 {
		t.Errorf("%v failed uploads were counted", n)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{config: func(c *recording.Config) { c.SegmentSize = 200_000 }}) // several segments
	var recs []call.Recording
	for range 40 {
		recs = append(recs, r.begin())
	}
	began := time.Now()
	for part := range 4 {
		for _, rec := range recs {
			say(rec, began, part*25, part*25+25)
		}
		must(t, r.Flush())
	}
	if n := r.meter("callhall_recordings_active"); n != 40 {
		t.Errorf("%v recordings are counted", n)
	}
	for _, rec := range recs {
		go rec.Close(t.Context())
	}
	for _, rec := range recs {
		r.await(rec.ID(), recording.StateStored)
		r.heard(rec.ID(), 2)
	}
	r.stop()
	files(t, filepath.Join(r.dir, "spool"), func(path string, _ []byte) {
		t.Errorf("%s is still in the spool", filepath.Base(path))
	})
}

// A listener may begin anywhere and take as little as they like: it is the same file.
func TestRangesAreTheFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	s := r.keep(12)
	r.await(s.ID, recording.StateStored)
	p, err := r.Open(t.Context(), city, s.ID)
	must(t, err)
	defer p.Close()
	whole, err := io.ReadAll(p)
	must(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		from := random.Int64N(p.Size())
		n := min(random.Int64N(70_000), p.Size()-from)
		_, err := p.Seek(from, io.SeekStart)
		must(t, err)
		part := make([]byte, n)
		if _, err := io.ReadFull(p, part); err != nil || !bytes.Equal(part, whole[from:from+n]) {
			t.Fatalf("%d bytes from %d: %v", n, from, err)
		}
	}
	if at, err := p.Seek(0, io.SeekEnd); at != p.Size() || err != nil {
		t.Errorf("end at %d, %v", at, err)
	}
	if n, err := p.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("past the end: %d, %v", n, err)
	}
	if _, err := p.Seek(-1, io.SeekStart); err == nil {
		t.Error("sought to before the start")
	}
}

// Any changed bit of an object is found: an error, not noise. Whatever was heard before it was right.
func TestFlippedByteIsDamage(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	s := r.keep(2)
	st := r.await(s.ID, recording.StateStored)
	path := filepath.Join(r.dir, "objects", filepath.FromSlash(recording.ObjectName(s.ID)))
	random := rand.New(rand.NewPCG(3, 4))
	for i := range int64(200) {
		at := i // all of header and manifest's beginning, then anywhere
		if i >= 100 {
			at = random.Int64N(st.Size)
		}
		flip(t, path, at)
		if _, _, err := r.play(s.ID); !errors.Is(err, recording.ErrDamaged) {
			t.Errorf("byte %d: %v", at, err)
		}
		flip(t, path, at)
	}
	r.heard(s.ID, 2)
	for _, size := range []int64{0, 10, 64, 300, st.Size / 2, st.Size - 1} {
		b, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, b[:size], 0o600))
		if _, _, err := r.play(s.ID); !errors.Is(err, recording.ErrDamaged) {
			t.Errorf("cut to %d bytes: %v", size, err)
		}
		must(t, os.WriteFile(path, b, 0o600))
	}
	must(t, os.Remove(path))
	if _, _, err := r.play(s.ID); !errors.Is(err, recording.ErrDamaged) {
		t.Errorf("gone: %v", err)
	}
}

// One recording's object in another's place, and one's sound in another's object, do not open.
func TestObjectsCannotBeExchanged(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	a, b := r.keep(1), r.keep(1)
	r.await(a.ID, recording.StateStored)
	r.await(b.ID, recording.StateStored)
	path := func(id call.RecordingID) string {
		return filepath.Join(r.dir, "objects", filepath.FromSlash(recording.ObjectName(id)))
	}
	bytesOfA, err := os.ReadFile(path(a.ID))
	must(t, err)
	must(t, os.WriteFile(path(b.ID), bytesOfA, 0o600))
	if _, _, err := r.play(b.ID); !errors.Is(err, recording.ErrDamaged) {
		t.Errorf("%v", err)
	}
}

// Sound is nowhere in the clear: not in the spool while it is recorded, not in the object.
func TestNothingPlainAtRest(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	pattern := make([]byte, 160)
	for i := range pattern {
		pattern[i] = byte(i*7 + 3)
	}
	rec, began := r.begin(), time.Now()
	for i := range 200 {
		at := began.Add(time.Duration(i) * 20 * time.Millisecond)
		rec.Caller().Heard(call.Packet{At: at, Seq: uint16(i), TS: uint32(160 * i), Payload: pattern})
	}
	must(t, r.Flush())
	search := func(when string) {
		looked := 0
		files(t, r.dir, func(path string, b []byte) {
			looked += len(b)
			if bytes.Contains(b, pattern[:12]) || bytes.Contains(b, pattern[100:112]) {
				t.Errorf("%s: sound is plain in %s", when, filepath.Base(path))
			}
		})
		if looked < 200*160 {
			t.Errorf("%s: only %d bytes looked at", when, looked)
		}
	}
	search("while recording")
	s := r.end(rec)
	r.await(s.ID, recording.StateStored)
	search("stored")
	if caller, _, err := r.play(s.ID); err != nil || len(caller) < 200*160 {
		t.Errorf("%d samples, %v", len(caller), err)
	}
}

// A telephone-event is never kept: neither its key nor its packet.
func TestKeysAreNotKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	rec, began := r.begin(), time.Now()
	for i := range 50 {
		rec.Caller().Heard(call.Packet{At: began.Add(time.Duration(i) * 20 * time.Millisecond), Seq: uint16(i), TS: uint32(160 * i), Type: 101,
			Payload: []byte{5, 10, 3, 32}})
	}
	r.leavesNothing(rec)
}

// A recording that nobody spoke in, because the caller left while the agent's phone rang, leaves nothing: no entry, no key,
// no object, nothing in the spool.
func TestNothingHeardLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	r.leavesNothing(r.begin())
	r.heard(r.keep(1).ID, 1) // and is in nobody's way
}

// A recording that was opened while a phone rang begins with the first word; a hold before it is no gap.
func TestBeginsWithTheFirstWord(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	rec, opened := r.begin(), r.clock.Now()
	rec.Pause()
	r.clock.set(opened.Add(20 * time.Second))
	rec.Resume()
	say(rec, time.Now(), 0, 50)
	s := r.end(rec)
	if s.Length < 900*time.Millisecond || s.Length > 1100*time.Millisecond {
		t.Errorf("a second of sound is %v long", s.Length)
	}
	if st := r.await(s.ID, recording.StateStored); st.StartedAt.Before(opened.Add(19 * time.Second)) {
		t.Errorf("began at %v, opened at %v", st.StartedAt, opened)
	}
	r.heard(s.ID, 1)
}

// leavesNothing ends a recording and looks for what it left.
func (r *rig) leavesNothing(rec call.Recording) {
	r.t.Helper()
	s, err := rec.Close(r.t.Context())
	if err != nil || s.State != call.RecordingNone || s.ID != "" || s.Length != 0 {
		r.t.Errorf("summary %+v, %v", s, err)
	}
	if _, err := r.catalog.Find(r.t.Context(), rec.ID()); !errors.Is(err, recording.ErrNotFound) {
		r.t.Errorf("catalogue: %v", err)
	}
	if _, err := r.objects.Stat(r.t.Context(), recording.ObjectName(rec.ID())); !errors.Is(err, recording.ErrNoObject) {
		r.t.Errorf("object: %v", err)
	}
	if _, err := r.Open(r.t.Context(), city, rec.ID()); !errors.Is(err, recording.ErrNotFound) {
		r.t.Errorf("open: %v", err)
	}
}

// A recording that goes on costs the catalogue nothing and is known all the same: it is in progress.
func TestGoingOnIsNotInTheCatalogue(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	rec := r.begin()
	if _, err := r.catalog.Find(t.Context(), rec.ID()); !errors.Is(err, recording.ErrNotFound) {
		t.Errorf("catalogue: %v", err)
	}
	st, err := r.Status(t.Context(), city, rec.ID())
	if err != nil || st.State != recording.StateOpen || st.Playable {
		t.Errorf("status %+v, %v", st, err)
	}
	if _, err := r.Play(t.Context(), city, rec.ID(), "token:rosa", "complaint"); !errors.Is(err, recording.ErrInProgress) {
		t.Errorf("played: %v", err)
	}
	r.leavesNothing(rec)
}

func TestDiskFloor(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{config: func(c *recording.Config) { c.Floor = math.MaxUint64 }})
	_, err := r.Start(t.Context(), city, call.NewID(), call.Notice{})
	var floor *recording.FloorError
	if !errors.Is(err, recording.ErrNoSpace) || !errors.As(err, &floor) || floor.Free == 0 {
		t.Errorf("%v", err)
	}
}

func TestWhoMayNot(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	s, open := r.keep(1), r.begin()
	for what, c := range map[string]struct {
		city call.CityID
		id   call.RecordingID
		want error
	}{
		"another city":             {"helena", s.ID, recording.ErrNotFound},
		"another city, still open": {"helena", open.ID(), recording.ErrNotFound},
		"nobody's":                 {city, call.NewRecordingID(), recording.ErrNotFound},
		"not an id":                {city, "rec_../../x", recording.ErrNotFound},
		"still open":               {city, open.ID(), recording.ErrInProgress},
	} {
		if _, err := r.Open(t.Context(), c.city, c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	r.leavesNothing(open)
	if _, err := open.Close(t.Context()); !errors.Is(err, recording.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
}

// Who listens, and why, is in the ledger before the first byte leaves; without a leaf nothing leaves.
func TestPlayIsLedgered(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{})
	s := r.keep(1)
	p, err := r.Play(t.Context(), city, s.ID, "token:rosa", "complaint")
	must(t, err)
	must(t, p.Close())
	leaves := r.book.of("recording.played/1")
	if len(leaves) != 1 || leaves[0].Actor != "token:rosa" || leaves[0].Facts["reason"] != "complaint" ||
		leaves[0].Facts["recording"] != string(s.ID) || !strings.HasPrefix(string(leaves[0].Call), "cl_") {
		t.Errorf("%+v", leaves)
	}
	r.book.err = errors.New("the ledger is away")
	if _, err := r.Play(t.Context(), city, s.ID, "token:rosa", "complaint"); !errors.Is(err, r.book.err) {
		t.Errorf("played without a leaf: %v", err)
	}
	r.book.err = nil
}

// A catalogue that cannot be reached costs no recording: it is told later.
func TestClosedAfterRunHasEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRig(t, dir, options{config: func(c *recording.Config) { c.Registry = nil }})
	rec := r.begin()
	say(rec, time.Now(), 0, 100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rec.Close(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	r.stop()
	r = newRig(t, dir, options{})
	r.await(rec.ID(), recording.StateStored)
	r.heard(rec.ID(), 2)
}

// A write that fails costs nothing while memory lasts: the same bytes are written again, in another segment.
func TestDiskFailsForAMoment(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), options{idle: true})
	rec, began := r.begin(), time.Now()
	say(rec, began, 0, 50)
	must(t, r.Flush())
	must(t, r.BreakDisk())
	say(rec, began, 50, 100)
	if err := r.Flush(); err == nil {
		t.Fatal("written to a broken disk")
	}
	say(rec, began, 100, 150)
	s := closeIdle(t, r, rec)
	if s.Length < 3*time.Second || s.Why != "" {
		t.Errorf("%+v", s)
	}
	r.heard(s.ID, 3)
	r.stop()
	r = newRig(t, r.dir, options{})
	r.await(s.ID, recording.StateStored)
	r.heard(s.ID, 3)
}
