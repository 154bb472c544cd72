package recording_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/recording"
)

// victimDir tells a copy of this test program to record there until it is killed.
const victimDir = "CALLHALL_TEST_RECORDING_VICTIM"

// fatal is the testing.TB of a process that is no test.
type fatal struct {
	testing.TB
	ctx context.Context
}

func (f fatal) Helper()                  {}
func (f fatal) Cleanup(func())           {}
func (f fatal) Context() context.Context { return f.ctx }
func (f fatal) Fatal(a ...any)           { fmt.Println("fault:", fmt.Sprint(a...)); os.Exit(1) }

// victim records two calls in real time and says after each packet how many it has given.
func victim(dir string) {
	r := newRig(fatal{ctx: context.Background()}, dir, options{})
	calls, began := []call.Recording{r.begin(), r.begin()}, time.Now()
	for _, c := range calls {
		fmt.Println("id", c.ID())
	}
	tick := time.NewTicker(20 * time.Millisecond)
	for i := 0; ; i++ {
		<-tick.C
		for _, c := range calls {
			say(c, began, i, i+1)
		}
		fmt.Println("given", i+1)
	}
}

// A killed process loses less than its last second; what is left plays, ended when its last frame came.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ids, given := kill(t, dir, 150)
	now := &clock{now: start.Add(3 * 24 * time.Hour)} // it comes back days later
	r := newRig(t, dir, options{clock: now})
	if len(r.found) != 2 {
		t.Fatalf("found %d recordings", len(r.found))
	}
	for _, f := range r.found {
		s := f.Summary
		if f.City != city || !call.ValidID("cl", string(f.Call)) || s.State != call.RecordingKept || s.Notice.Prompt != "notice" {
			t.Errorf("%+v", f)
		}
		if kept, least := s.Length, time.Duration(given)*20*time.Millisecond-time.Second; kept < least {
			t.Errorf("%v kept of %d packets: more than a second is lost", kept, given)
		}
		if after := s.EndedAt.Sub(start); after < time.Second || after > s.Length+time.Second || s.DueAt.Sub(s.EndedAt) != recording.Retention {
			t.Errorf("ended %v after the start, due %v later; %v long", after, s.DueAt.Sub(s.EndedAt), s.Length)
		}
		r.heard(s.ID, s.Length.Seconds())
	}
	for _, id := range ids {
		r.await(id, recording.StateStored)
		p, err := r.Open(t.Context(), city, id)
		must(t, err)
		if !p.Manifest().Recovered || p.Manifest().Damaged != 0 {
			t.Errorf("manifest %+v", p.Manifest())
		}
		must(t, p.Close())
	}
	r.stop()
	if again := newRig(t, dir, options{clock: now, idle: true}); len(again.found) != 0 {
		t.Errorf("found again: %+v", again.found)
	}
}

// Killed between a recording's end and its record's: what was kept is told of its call, sealed, stored or even erased.
func TestEndedButNotInTheRecord(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), &clock{now: start}
	r := newRig(t, dir, options{clock: now, idle: true})
	id, began := call.NewID(), time.Now()
	rec, err := r.Start(t.Context(), city, id, call.Notice{Prompt: "notice", Language: "en"})
	must(t, err)
	say(rec, began, 0, 100)
	want := closeIdle(t, r, rec)
	r.stop()
	again := func(o options, state recording.State) {
		t.Helper()
		r := newRig(t, dir, o)
		defer r.stop()
		r.await(want.ID, state)
		got, ok, err := r.OfCall(t.Context(), city, id)
		if err != nil || !ok || got != want {
			t.Errorf("%v: %+v, %v, %v, want %+v", state, got, ok, err, want)
		}
		if _, ok, err := r.OfCall(t.Context(), "helena", id); err != nil || ok {
			t.Errorf("for another city: %v, %v", ok, err)
		}
		if _, ok, err := r.OfCall(t.Context(), city, call.NewID()); err != nil || ok {
			t.Errorf("of a call that was not recorded: %v, %v", ok, err)
		}
	}
	again(options{clock: now, idle: true}, recording.StateSealed)
	again(options{clock: now}, recording.StateStored)
	now.set(want.DueAt)
	again(options{clock: now}, recording.StateErased)
}

// kill runs a victim in dir and kills it after so many packets.
func kill(t *testing.T, dir string, packets int) (ids []call.RecordingID, given int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for given < packets && lines.Scan() {
		word, value, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "id":
			ids = append(ids, call.RecordingID(value))
		case "given":
			given, err = strconv.Atoi(value)
			must(t, err)
		default:
			t.Error(lines.Text())
		}
	}
	must(t, cmd.Process.Kill()) // SIGKILL
	cmd.Wait()
	return ids, given
}

// crashed is a spool in which one closed and one open recording lie, both of four quarters, as a crash leaves it.
func crashed(t *testing.T) (dir string, closed, open call.RecordingID, segment string) {
	t.Helper()
	dir = t.TempDir()
	r := newRig(t, dir, options{idle: true})
	a, b, began := r.begin(), r.begin(), time.Now()
	for i := range 4 {
		say(a, began, i*50, i*50+50)
		say(b, began, i*50, i*50+50)
		must(t, r.Flush())
	}
	closeIdle(t, r, a)
	r.stop()
	return dir, a.ID(), b.ID(), filepath.Join("spool", "00000001.seg")
}

// after opens the spool of dir, changed, on a machine that has nothing but it.
func after(t *testing.T, dir, segment string, change func(b []byte) []byte) *rig {
	t.Helper()
	other := t.TempDir()
	copyTree(t, filepath.Join(dir, "spool"), filepath.Join(other, "spool"))
	b, err := os.ReadFile(filepath.Join(other, segment))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(other, segment), change(b), 0o600))
	return newRig(t, other, options{idle: true})
}

// A torn tail costs what was in it, and nothing before.
func TestTornTail(t *testing.T) {
	t.Parallel()
	dir, closed, open, segment := crashed(t)
	info, err := os.Stat(filepath.Join(dir, segment))
	must(t, err)
	random := rand.New(rand.NewPCG(5, 6))
	longest := map[call.RecordingID]int{}
	for i := range 15 {
		size := random.Int64N(info.Size())
		if i == 0 {
			size = info.Size()
		}
		r := after(t, dir, segment, func(b []byte) []byte {
			if i%2 == 1 { // the file system has made room for what it never wrote
				return append(b[:size:size], make([]byte, len(b)-int(size))...)
			}
			return b[:size]
		})
		for _, f := range r.found {
			if f.Summary.Length > 0 {
				r.heard(f.Summary.ID, f.Summary.Length.Seconds())
			}
			longest[f.Summary.ID] = max(longest[f.Summary.ID], int(f.Summary.Length.Seconds()))
		}
		r.stop()
	}
	if longest[closed] != 4 || longest[open] != 4 {
		t.Errorf("longest %v", longest)
	}
}

// A byte that has changed in the middle of the spool costs one chunk; the rest is heard, and the manifest says so.
func TestFlippedByteInTheSpool(t *testing.T) {
	t.Parallel()
	dir, closed, open, segment := crashed(t)
	info, err := os.Stat(filepath.Join(dir, segment))
	must(t, err)
	random := rand.New(rand.NewPCG(7, 8))
	hurt := 0
	for range 15 {
		at := info.Size()/4 + random.Int64N(info.Size()/2)
		r := after(t, dir, segment, func(b []byte) []byte { b[at] ^= 0x10; return b })
		for _, id := range []call.RecordingID{closed, open} {
			p, err := r.Open(t.Context(), city, id)
			if errors.Is(err, recording.ErrNotFound) {
				continue // its opening record was hit
			}
			must(t, err)
			if p.Manifest().Damaged > 0 {
				hurt++
			}
			must(t, p.Close())
			caller, _, err := r.play(id)
			must(t, err)
			if tone, all := goertzel(caller, callerTone); tone < 0.95*all {
				t.Errorf("byte %d: what is left is %.2f of the tone", at, tone/all)
			}
		}
		r.stop()
	}
	if hurt == 0 {
		t.Error("no chunk was hit: the test looks in the wrong place")
	}
}

// Killed before anything was on the disk, or heard: there is no recording, and none is made up.
func TestNothingWasKept(t *testing.T) {
	t.Parallel()
	for name, flushed := range map[string]bool{"nothing on the disk": false, "nothing heard": true} {
		dir := t.TempDir()
		r := newRig(t, dir, options{idle: true})
		rec, other := r.begin(), r.begin() // the other keeps the segment
		if flushed {
			say(other, time.Now(), 0, 50)
			must(t, r.Flush())
		}
		r.stop()
		r = newRig(t, dir, options{idle: true})
		for _, f := range r.found {
			if f.Summary.ID != other.ID() {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if _, err := r.Open(t.Context(), city, rec.ID()); !errors.Is(err, recording.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A recording in which nothing was heard is not found again by the next start, though the spool's segment still tells of it.
func TestDiscardedStaysDiscarded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRig(t, dir, options{idle: true})
	empty, other := r.begin(), r.begin()
	say(other, time.Now(), 0, 50)
	done := make(chan call.RecordingSummary)
	go func() {
		s, err := empty.Close(t.Context())
		if err != nil {
			t.Error(err)
		}
		done <- s
	}()
	for ended := false; !ended; {
		must(t, r.Flush())
		select {
		case s := <-done:
			if ended = true; s.State != call.RecordingNone {
				t.Errorf("summary %+v", s)
			}
		case <-time.After(time.Millisecond):
		}
	}
	r.stop()
	r = newRig(t, dir, options{idle: true})
	if len(r.found) != 1 || r.found[0].Summary.ID != other.ID() {
		t.Errorf("found %+v", r.found)
	}
}
