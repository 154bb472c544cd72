package sqldb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"callhall/sqldb"
)

var first = fstest.MapFS{"0001_first.sql": {Data: []byte("-- +goose Up\nCREATE TABLE words (word TEXT PRIMARY KEY);\n")}}

func open(t testing.TB, path string, d sqldb.Durability) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), path, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context(), "words", first); err != nil {
		t.Fatal(err)
	}
	return db
}

func insert(word string) func(context.Context, *sqldb.Tx) error {
	return func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO words (word) VALUES (?)", word)
		return err
	}
}

func count(t testing.TB, db *sqldb.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM words").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFilesBelongToThisUserAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new dir?", "a b%.db")
	db := open(t, path, sqldb.Durable)
	if err := db.Commit(t.Context(), insert("x")); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", suffix, info.Mode())
		}
	}
}

func TestDurabilityIsWhatWasAskedFor(t *testing.T) {
	for _, c := range []struct {
		d                  sqldb.Durability
		synchronous, zeros int
	}{{sqldb.Durable, 2, 1}, {sqldb.Cached, 1, 0}} {
		db := open(t, filepath.Join(t.TempDir(), "x.db"), c.d)
		var synchronous, zeros int
		var mode string
		err := db.Commit(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return errors.Join(tx.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous),
				tx.QueryRowContext(ctx, "PRAGMA secure_delete").Scan(&zeros),
				tx.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode))
		})
		if err != nil || synchronous != c.synchronous || zeros != c.zeros || mode != "wal" {
			t.Errorf("durability %d: synchronous %d, secure_delete %d, journal %s, %v", c.d, synchronous, zeros, mode, err)
		}
	}
}

func TestCommitUndoesOnlyWhatFailed(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), sqldb.Durable)
	broken := errors.New("broken")
	var wait sync.WaitGroup
	for i := range 100 {
		wait.Go(func() {
			err := db.Commit(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				if err := insert(fmt.Sprint("word", i))(ctx, tx); err != nil {
					return err
				}
				if i%2 == 1 {
					return broken
				}
				return nil
			})
			if odd := i%2 == 1; odd != errors.Is(err, broken) || !odd && err != nil {
				t.Errorf("commit %d: %v", i, err)
			}
		})
	}
	wait.Wait()
	if n := count(t, db); n != 50 {
		t.Errorf("%d rows, want 50", n)
	}
}

func TestCommitWhoseCtxEndsInTheQueueIsNotRun(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), sqldb.Durable)
	started, release := make(chan struct{}), make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		_ = db.Commit(t.Context(), func(context.Context, *sqldb.Tx) error { close(started); <-release; return nil })
	})
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	ran := false
	wait.Go(func() {
		err := db.Commit(ctx, func(context.Context, *sqldb.Tx) error { ran = true; return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled commit returned %v", err)
		}
		close(release)
	})
	for db.Queued() < 1 {
		runtime.Gosched()
	}
	cancel()
	wait.Wait()
	if err := db.Commit(t.Context(), insert("after")); err != nil { // whatever was queued before has now had its turn
		t.Error(err)
	}
	if ran {
		t.Error("a commit ran although its ctx had ended while it waited")
	}
}

func TestCommitsThatWaitShareOneTransaction(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), sqldb.Durable)
	started, release := make(chan struct{}), make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		_ = db.Commit(t.Context(), func(context.Context, *sqldb.Tx) error { close(started); <-release; return nil })
	})
	<-started
	var inside, outside [2]int // rows seen by each of two commits, and by a reader at that moment
	order := 0
	for i := range 2 {
		wait.Go(func() {
			err := db.Commit(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				outside[order] = count(t, db)
				err := tx.QueryRowContext(ctx, "SELECT count(*) FROM words").Scan(&inside[order])
				order++
				return errors.Join(err, insert(fmt.Sprint(i))(ctx, tx))
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for db.Queued() < 2 {
		runtime.Gosched()
	}
	close(release)
	wait.Wait()
	if inside != [2]int{0, 1} || outside != [2]int{0, 0} {
		t.Errorf("the second of two waiting commits saw %v inside and %v outside its transaction", inside, outside)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), sqldb.Durable)
	if _, err := db.ExecContext(t.Context(), "INSERT INTO words (word) VALUES ('x')"); err == nil {
		t.Error("the readers' pool wrote")
	}
}

func TestScrubLeavesNoCopyOfWhatWasDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path, sqldb.Durable)
	const secret = "a-word-that-stands-nowhere-else"
	if err := db.Commit(t.Context(), insert(secret)); err != nil {
		t.Fatal(err)
	}
	err := db.Commit(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM words")
		return err
	})
	if err := errors.Join(err, db.Scrub(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), secret) {
			t.Errorf("%q still holds the deleted row", suffix)
		}
	}
}

func TestMigrateRefusesANewerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path, sqldb.Cached)
	newer := fstest.MapFS{"0001_first.sql": first["0001_first.sql"],
		"0002_second.sql": {Data: []byte("-- +goose Up\nALTER TABLE words ADD COLUMN length INTEGER;\n")}}
	if err := db.Migrate(t.Context(), "words", newer); err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(t.Context(), insert("after")); err != nil {
		t.Error("a statement prepared before the migration no longer works:", err)
	}
	if err := db.Migrate(t.Context(), "words", first); !errors.Is(err, sqldb.ErrNewer) {
		t.Errorf("an older program was let in: %v", err)
	}
	if err := db.Migrate(t.Context(), "other", fstest.MapFS{"0001_o.sql": {Data: []byte("-- +goose Up\nCREATE TABLE o (x TEXT);\n")}}); err != nil {
		t.Error("a second store in the same file:", err)
	}
}

func TestCloseFinishesWhatIsQueued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path, sqldb.Durable)
	var wait sync.WaitGroup
	var mu sync.Mutex
	kept := 0
	for i := range 50 {
		wait.Go(func() {
			err := db.Commit(t.Context(), insert(fmt.Sprint(i)))
			if err != nil && !errors.Is(err, sqldb.ErrClosed) {
				t.Error(err)
			}
			if err == nil {
				mu.Lock()
				kept++
				mu.Unlock()
			}
		})
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	wait.Wait()
	if n := count(t, open(t, path, sqldb.Durable)); n != kept {
		t.Errorf("%d rows, %d commits returned nil", n, kept)
	}
	if err := db.Commit(t.Context(), insert("late")); !errors.Is(err, sqldb.ErrClosed) {
		t.Errorf("commit after close: %v", err)
	}
}

// TestKilledProcessKeepsWhatWasCommitted runs this test binary again as a child that prints each word once its commit
// has returned, and kills it without warning.
func TestKilledProcessKeepsWhatWasCommitted(t *testing.T) {
	if path := os.Getenv("SQLDB_CHILD"); path != "" {
		child(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "x.db")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcessKeepsWhatWasCommitted$")
	cmd.Env = append(os.Environ(), "SQLDB_CHILD="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for lines := bufio.NewScanner(out); len(said) < 100 && lines.Scan(); {
		said = append(said, lines.Text())
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if len(said) < 100 {
		t.Fatal("the child said too little:", said)
	}
	db := open(t, path, sqldb.Durable)
	for _, word := range said {
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM words WHERE word = ?", word).Scan(&n); err != nil || n != 1 {
			t.Fatalf("%s: %d rows, %v", word, n, err)
		}
	}
}

func child(t *testing.T, path string) {
	db := open(t, path, sqldb.Durable)
	for worker := range 4 {
		go func() {
			for i := 0; ; i++ {
				word := fmt.Sprint(worker, "-", i)
				if err := db.Commit(context.Background(), insert(word)); err != nil {
					return
				}
				os.Stdout.WriteString(word + "\n")
			}
		}()
	}
	select {} // until killed
}

func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers, "callers"), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "x.db")
			db := open(b, path, sqldb.Durable)
			b.ReportAllocs()
			words := make(chan string, callers)
			var wait sync.WaitGroup
			for range callers {
				wait.Go(func() {
					for word := range words {
						if err := db.Commit(b.Context(), insert(word)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			i := 0
			for b.Loop() {
				words <- fmt.Sprint("word", i)
				i++
			}
			close(words)
			wait.Wait()
			b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
