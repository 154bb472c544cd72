package ledger_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"callhall/call"
	"callhall/ledger"
	"callhall/ledger/sqlstore"
	"callhall/sqldb"
)

const city = call.CityID("springfield")

// place is where one ledger lives, so that a test can close it and open it again.
type place struct{ dir string }

func newPlace(t testing.TB) place { return place{t.TempDir()} }

func (p place) witness() ledger.WitnessDir { return ledger.WitnessDir(filepath.Join(p.dir, "witness")) }

func (p place) database(t testing.TB) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), filepath.Join(p.dir, "sealed.db"), sqldb.Durable)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// open returns the ledger and closes it, if the test has not, when the test ends.
func (p place) open(t testing.TB, cfg ledger.Config) (*ledger.Ledger, func()) {
	t.Helper()
	db := p.database(t)
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), store, ledger.KeyDir(filepath.Join(p.dir, "keys")), p.witness(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	closed := sync.OnceFunc(func() {
		if err := errors.Join(l.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(closed)
	return l, closed
}

func leaf(n int) call.Leaf {
	return call.Leaf{Kind: "ani.release/1", At: time.Date(2026, 3, 1, 12, 0, 0, n, time.UTC), Call: call.NewID(),
		Actor: "agent:ana", Facts: map[string]string{"row": "D08", "note": "<&> \u2028 \"é\"\n" + fmt.Sprint(n)}}
}

func fill(t testing.TB, l *ledger.Ledger, c call.CityID, n int) {
	t.Helper()
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			if err := l.Append(t.Context(), c, leaf(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

func export(t testing.TB, l *ledger.Ledger, c call.CityID) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := l.Export(t.Context(), c, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func checkpoint(t testing.TB, l *ledger.Ledger, c call.CityID) []byte {
	t.Helper()
	text, err := l.Checkpoint(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func verify(t testing.TB, text []byte, opts ledger.Options) ledger.Report {
	t.Helper()
	r, err := ledger.Verify(bytes.NewReader(text), opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConcurrentAppendsVerify(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	fill(t, l, city, 300)
	early := checkpoint(t, l, city)
	fill(t, l, city, 700)
	key, err := l.Key(t.Context(), city)
	if err != nil {
		t.Fatal(err)
	}
	r := verify(t, export(t, l, city), ledger.Options{Since: early, Key: key})
	if r.Leaves != 1000 || r.Since != 300 || !r.Anchored || !r.KeyKnown || r.Kinds["ani.release/1"] != 1000 {
		t.Errorf("report %+v", r)
	}
	if r := verify(t, export(t, l, city), ledger.Options{}); r.Anchored || !strings.Contains(r.String(), "self-consistent only") {
		t.Errorf("without an earlier checkpoint: %v", r)
	}
}

func TestExportAndVerifyAtEverySizeAroundATile(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	if r := verify(t, export(t, l, city), ledger.Options{}); r.Leaves != 0 {
		t.Errorf("an empty ledger has %d leaves", r.Leaves)
	}
	var last []byte
	for _, n := range []int{1, 2, 252, 1, 1, 254, 1, 1} { // ends at 1, 3, 255, 256, 257, 511, 512, 513
		fill(t, l, city, n)
		verify(t, export(t, l, city), ledger.Options{Since: last})
		last = checkpoint(t, l, city)
	}
}

func TestListGivesBackWhatWasAppended(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	want := leaf(7)
	for range 3 {
		if err := l.Append(t.Context(), city, want); err != nil {
			t.Fatal(err)
		}
	}
	first, next, err := l.List(t.Context(), city, 0, 2)
	if err != nil || len(first) != 2 || next != 2 {
		t.Fatalf("first page %v, next %d, %v", first, next, err)
	}
	second, next, err := l.List(t.Context(), city, next, 2)
	if err != nil || len(second) != 1 || next != 3 || second[0].Index != 2 {
		t.Fatalf("second page %v, next %d, %v", second, next, err)
	}
	got := second[0].Leaf
	if got.Kind != want.Kind || !got.At.Equal(want.At) || got.Call != want.Call || got.Actor != want.Actor || got.Facts["note"] != want.Facts["note"] {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestAnyFlippedBitIsFound flips one bit anywhere in an export, bodies, salts, keys, checkpoint and punctuation alike.
func TestAnyFlippedBitIsFound(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	fill(t, l, city, 20)
	if err := l.Erase(t.Context(), city, 4, "officer:bo"); err != nil {
		t.Fatal(err)
	}
	text := export(t, l, city)
	header := bytes.IndexByte(text, '\n') + 1
	for bit := range 8 * header { // the header has the most spellings for one value
		flipped(t, text, bit)
	}
	rapid.Check(t, func(r *rapid.T) { flipped(r, text, rapid.IntRange(0, 8*len(text)-1).Draw(r, "bit")) })
}

func flipped(t rapid.TB, text []byte, bit int) {
	changed := bytes.Clone(text)
	changed[bit/8] ^= 1 << (bit % 8)
	if _, err := ledger.Verify(bytes.NewReader(changed), ledger.Options{}); !errors.Is(err, ledger.ErrInvalid) {
		t.Fatalf("bit %d of byte %d (%q in %q): %v", bit%8, bit/8, text[bit/8], around(text, bit/8), err)
	}
}

func around(text []byte, i int) []byte { return text[max(0, i-20):min(len(text), i+20)] }

func TestTruncationAndAdditionAreFound(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	fill(t, l, city, 5)
	text := export(t, l, city)
	lines := bytes.SplitAfter(text, []byte("\n"))
	for n := range len(text) {
		if _, err := ledger.Verify(bytes.NewReader(text[:n]), ledger.Options{}); !errors.Is(err, ledger.ErrInvalid) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(text), err)
		}
	}
	more := append(bytes.Clone(text), lines[2]...)
	if _, err := ledger.Verify(bytes.NewReader(more), ledger.Options{}); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("a line more: %v", err)
	}
}

// TestSinceFindsWhatTheKeyCanForge has two ledgers written with the same key: only the earlier checkpoint of one tells
// that the other is not its continuation.
func TestSinceFindsWhatTheKeyCanForge(t *testing.T) {
	honest := newPlace(t)
	a, _ := honest.open(t, ledger.Config{})
	fill(t, a, city, 10)
	kept := checkpoint(t, a, city)

	forger := newPlace(t)
	key, err := os.ReadFile(filepath.Join(honest.dir, "keys", string(city)+".ledger-key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(forger.dir, "keys"), 0o700),
		os.WriteFile(filepath.Join(forger.dir, "keys", string(city)+".ledger-key"), key, 0o600)); err != nil {
		t.Fatal(err)
	}
	b, _ := forger.open(t, ledger.Config{})
	fill(t, b, city, 9)
	if _, err := ledger.Verify(bytes.NewReader(export(t, b, city)), ledger.Options{Since: kept}); !errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("a shorter log: %v", err)
	}
	fill(t, b, city, 9)
	text := export(t, b, city)
	verify(t, text, ledger.Options{})
	if _, err := ledger.Verify(bytes.NewReader(text), ledger.Options{Since: kept}); !errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), "rewritten") {
		t.Errorf("another log under the same key: %v", err)
	}
	strange, _ := newPlace(t).open(t, ledger.Config{})
	fill(t, strange, city, 12)
	known, err := a.Key(t.Context(), city)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Verify(bytes.NewReader(export(t, strange, city)), ledger.Options{Key: known}); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("a log under another key: %v", err)
	}
}

func TestErasedBodyLeavesEveryProofStanding(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t, ledger.Config{})
	fill(t, l, city, 20)
	secret := leaf(99)
	secret.Facts["note"] = "a-word-that-stands-nowhere-else"
	if err := l.Append(t.Context(), city, secret); err != nil {
		t.Fatal(err)
	}
	early := checkpoint(t, l, city)
	if err := l.Erase(t.Context(), city, 20, "officer:bo"); err != nil {
		t.Fatal(err)
	}
	if err := l.Erase(t.Context(), city, 20, "officer:bo"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("erased twice: %v", err)
	}
	text := export(t, l, city)
	r := verify(t, text, ledger.Options{Since: early})
	if r.Erased != 1 || r.Unexplained != 0 || r.Leaves != 22 || bytes.Contains(text, []byte("a-word-that")) {
		t.Errorf("report %+v", r)
	}
	entries, _, err := l.List(t.Context(), city, 20, 2)
	if err != nil || len(entries) != 2 || !entries[0].Erased || entries[1].Leaf.Kind != ledger.KindErased {
		t.Errorf("list %+v, %v", entries, err)
	}
	proof(t, l, 20)
	closed()
	raw, err := os.ReadFile(filepath.Join(p.dir, "sealed.db"))
	if err != nil || bytes.Contains(raw, []byte("a-word-that")) {
		t.Errorf("the erased body is still in the file (%v)", err)
	}
}

func proof(t *testing.T, l *ledger.Ledger, index int64) {
	t.Helper()
	p, err := l.Proof(t.Context(), city, index)
	if err != nil {
		t.Fatal(err)
	}
	key, err := l.Key(t.Context(), city)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var read ledger.Proof
	if err := json.Unmarshal(b, &read); err != nil {
		t.Fatal(err)
	}
	if err := read.Check(city, key); err != nil {
		t.Errorf("proof of leaf %d: %v", index, err)
	}
	read.Leaf[0] ^= 1
	if err := read.Check(city, key); err == nil {
		t.Errorf("a proof of another leaf at %d was taken", index)
	}
}

func TestProofOfEachLeaf(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	fill(t, l, city, 600)
	for _, i := range []int64{0, 1, 255, 256, 511, 512, 599} {
		proof(t, l, i)
	}
	if _, err := l.Proof(t.Context(), city, 600); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("proof of a leaf that is not there: %v", err)
	}
}

func TestReopenedLedgerGoesOn(t *testing.T) {
	p := newPlace(t)
	var last []byte
	for range 4 {
		l, closed := p.open(t, ledger.Config{Cities: []call.CityID{city}})
		if f := l.Frozen(); len(f) > 0 {
			t.Fatal(f)
		}
		fill(t, l, city, 130)
		verify(t, export(t, l, city), ledger.Options{Since: last})
		closed()
		var err error
		if last, err = p.witness().Last(t.Context(), ledger.LogID(city)); err != nil || last == nil {
			t.Fatalf("no checkpoint with the witness after close: %v", err)
		}
	}
}

// TestForkFreezesTheCity changes the store behind the ledger's back, as a restored backup or an intruder would.
func TestForkFreezesTheCity(t *testing.T) {
	for name, c := range map[string]struct {
		sql  []string
		want error
	}{
		"emptied": {[]string{"DELETE FROM ledger_heads", "DELETE FROM ledger_tiles", "DELETE FROM ledger_bodies"}, ledger.ErrForked},
		"rewritten": {[]string{"UPDATE ledger_tiles SET hashes = (SELECT hashes FROM ledger_tiles WHERE city = 'other' AND level = 0)" +
			" WHERE city = 'springfield' AND level = 0"}, ledger.ErrForked},
		"size only": {[]string{"UPDATE ledger_heads SET size = 9 WHERE city = 'springfield'"}, ledger.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			l, closed := p.open(t, ledger.Config{})
			fill(t, l, city, 10)
			fill(t, l, "other", 10)
			closed()
			db := p.database(t)
			err := db.Commit(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				for _, s := range c.sql {
					if _, err := tx.ExecContext(ctx, s); err != nil {
						return err
					}
				}
				return nil
			})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			l, _ = p.open(t, ledger.Config{Cities: []call.CityID{city}})
			if err := l.Frozen()[city]; !errors.Is(err, c.want) {
				t.Errorf("frozen: %v, want %v", err, c.want)
			}
			if err := l.Append(t.Context(), city, leaf(1)); !errors.Is(err, c.want) {
				t.Errorf("append to a frozen log: %v", err)
			}
			if name != "emptied" {
				fill(t, l, "other", 1)
			}
		})
	}
}

func TestLostKeyIsNotReplaced(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t, ledger.Config{})
	fill(t, l, city, 1)
	closed()
	if err := os.Remove(filepath.Join(p.dir, "keys", string(city)+".ledger-key")); err != nil {
		t.Fatal(err)
	}
	db := p.database(t)
	defer db.Close()
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(t.Context(), store, ledger.KeyDir(filepath.Join(p.dir, "keys")), p.witness(), ledger.Config{}); !errors.Is(err, ledger.ErrNoKey) {
		t.Errorf("opened without its key: %v", err)
	}
}

// telling is a witness that passes on what it is given.
type telling struct {
	ledger.WitnessDir
	dropped chan []byte
}

func (w telling) Drop(ctx context.Context, s ledger.Signed) error {
	select {
	case w.dropped <- s.Text:
	case <-ctx.Done():
	}
	return w.WitnessDir.Drop(ctx, s)
}

func TestCheckpointsReachTheWitnessWhileRunning(t *testing.T) {
	p := newPlace(t)
	db := p.database(t)
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	w := telling{p.witness(), make(chan []byte, 8)}
	l, err := ledger.Open(t.Context(), store, ledger.KeyDir(filepath.Join(p.dir, "keys")), w, ledger.Config{CheckpointEvery: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), city, leaf(1)); err != nil {
		t.Fatal(err)
	}
	for _, size := range []string{"\n0\n", "\n1\n"} { // the first before any leaf
		select {
		case text := <-w.dropped:
			if !bytes.Contains(text, []byte(size)) {
				t.Errorf("dropped %s", text)
			}
		case <-time.After(10 * time.Second):
			t.Error("nothing reached the witness while the ledger was running")
		}
	}
	if err := errors.Join(l.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

func TestAppendRefuses(t *testing.T) {
	l, closed := newPlace(t).open(t, ledger.Config{})
	good := leaf(1)
	for name, change := range map[string]func(*call.Leaf){
		"kind":    func(l *call.Leaf) { l.Kind = "Release" },
		"version": func(l *call.Leaf) { l.Kind = "ani.release" },
		"time":    func(l *call.Leaf) { l.At = time.Time{} },
		"fact":    func(l *call.Leaf) { l.Facts = map[string]string{"Bad Name": "x"} },
		"utf-8":   func(l *call.Leaf) { l.Facts = map[string]string{"x": "\xff"} },
		"number":  func(l *call.Leaf) { l.Facts = map[string]string{"x": "+1 212 555 0142"} },
		"actor":   func(l *call.Leaf) { l.Actor = "agent:+12125550142" },
		"call":    func(l *call.Leaf) { l.Call = "+1 212 555 0142" },
		"call id": func(l *call.Leaf) { l.Call = "rec_aaaaaaaaaaaaaaaaaaaaaaaaaa" },
		"size":    func(l *call.Leaf) { l.Facts = map[string]string{"x": strings.Repeat("x", 20000)} },
	} {
		bad := good
		change(&bad)
		if err := l.Append(t.Context(), city, bad); !errors.Is(err, ledger.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []call.ID{"", call.NewID()} {
		for _, actor := range []string{"engine", "agent:1001", "agent:20260301", "token:Ana María/tok_aaaaaaaaaaaaa2345672345672"} {
			if err := l.Append(t.Context(), "other", call.Leaf{Kind: "x.y/1", At: good.At, Call: id, Actor: actor}); err != nil {
				t.Errorf("call %q, actor %q: %v", id, actor, err)
			}
		}
	}
	for _, name := range []call.CityID{"", "a/b", "..", "a+b", "a b"} {
		if err := l.Append(t.Context(), name, good); !errors.Is(err, ledger.ErrRefused) {
			t.Errorf("city %q: %v", name, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Append(ended, city, good); !errors.Is(err, context.Canceled) {
		t.Errorf("ended ctx: %v", err)
	}
	if n, err := l.Size(t.Context(), city); n != 0 || err != nil {
		t.Errorf("%d refused leaves were written (%v)", n, err)
	}
	closed()
	if err := l.Append(t.Context(), city, good); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

// TestKilledProcessKeepsWhatWasAppended runs this test binary again as a child that says the call of each leaf once
// Append has returned, and kills it without warning.
func TestKilledProcessKeepsWhatWasAppended(t *testing.T) {
	if dir := os.Getenv("LEDGER_CHILD"); dir != "" {
		l, _ := place{dir}.open(t, ledger.Config{CheckpointEvery: time.Millisecond})
		for range 8 {
			go func() {
				for {
					f := leaf(1)
					if l.Append(context.Background(), city, f) == nil {
						os.Stdout.WriteString(string(f.Call) + "\n")
					}
				}
			}()
		}
		select {} // until killed
	}
	p := newPlace(t)
	said := map[string]bool{}
	for range 4 {
		runAndKill(t, p, said, 1+rand.IntN(300))
		last, err := p.witness().Last(t.Context(), ledger.LogID(city))
		if err != nil {
			t.Fatal(err)
		}
		l, closed := p.open(t, ledger.Config{Cities: []call.CityID{city}})
		if f := l.Frozen(); len(f) > 0 {
			t.Fatal(f)
		}
		text := export(t, l, city)
		verify(t, text, ledger.Options{Since: last})
		for id := range said {
			if n := bytes.Count(text, []byte(id)); n != 1 {
				t.Fatalf("leaf of %s stands %d times in the ledger", id, n)
			}
		}
		fill(t, l, city, 3)
		closed()
	}
}

// runAndKill runs the child until it has said n calls, and adds to said all that it did.
func runAndKill(t *testing.T, p place, said map[string]bool, n int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcessKeepsWhatWasAppended$")
	cmd.Env = append(os.Environ(), "LEDGER_CHILD="+p.dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for ; n > 0 && lines.Scan(); n-- {
		said[lines.Text()] = true
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// BenchmarkCheckpoints has what a checkpoint every second costs those who append, next to one in ten.
func BenchmarkCheckpoints(b *testing.B) {
	for _, every := range []time.Duration{time.Second, 10 * time.Second} {
		b.Run(every.String(), func(b *testing.B) {
			l, _ := newPlace(b).open(b, ledger.Config{CheckpointEvery: every})
			f := leaf(1)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.Append(b.Context(), city, f); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers, "callers"), func(b *testing.B) {
			l, _ := newPlace(b).open(b, ledger.Config{})
			b.ReportAllocs()
			leaves := make(chan call.Leaf)
			var wait sync.WaitGroup
			for range callers {
				wait.Go(func() {
					for f := range leaves {
						if err := l.Append(b.Context(), city, f); err != nil {
							b.Error(err)
						}
					}
				})
			}
			f := leaf(1)
			n := 0
			for b.Loop() {
				leaves <- f
				n++
			}
			close(leaves)
			wait.Wait()
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "leaves/s")
		})
	}
}

// doubtful is a store whose commits sometimes fail, and sometimes are kept although they seem to fail.
type doubtful struct {
	ledger.Store
	n int
}

var errDoubt = errors.New("the disk did not say")

func (d *doubtful) Append(ctx context.Context, c ledger.LogID, b ledger.Batch) error {
	d.n++
	switch d.n % 3 {
	case 0:
		return errDoubt
	case 1:
		return errors.Join(errDoubt, d.Store.Append(ctx, c, b))
	default:
		return d.Store.Append(ctx, c, b)
	}
}

func TestFailedCommitsLeaveATrueLog(t *testing.T) {
	p := newPlace(t)
	db := p.database(t)
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), &doubtful{Store: store}, ledger.KeyDir(filepath.Join(p.dir, "keys")), p.witness(), ledger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	said, doubted := 0, 0
	for i := range 900 { // past three tiles
		switch err := l.Append(t.Context(), city, leaf(i)); {
		case err == nil:
			said++
		case errors.Is(err, errDoubt):
			doubted++
		default:
			t.Fatal(err)
		}
	}
	r := verify(t, export(t, l, city), ledger.Options{})
	if said != 300 || doubted != 600 || r.Leaves != 600 {
		t.Errorf("%d leaves, %d appends succeeded and %d were in doubt", r.Leaves, said, doubted)
	}
	if err := errors.Join(l.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

func BenchmarkProof(b *testing.B) {
	l, _ := newPlace(b).open(b, ledger.Config{})
	fill(b, l, city, 20_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Proof(b.Context(), city, 7777); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	l, _ := newPlace(b).open(b, ledger.Config{})
	fill(b, l, city, 20_000)
	text := export(b, l, city)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		verify(b, text, ledger.Options{})
	}
	b.ReportMetric(20_000*float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
}

// A signing key that every user of the machine can read proves nothing.
func TestAnOpenKeyFileIsRefused(t *testing.T) {
	keys := ledger.KeyDir(t.TempDir())
	if _, err := keys.Key("springfield", true); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(string(keys), "springfield.ledger-key")
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: false, 0o602: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Key("springfield", false); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}
