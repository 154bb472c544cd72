// Package sqldb opens SQLite files, migrates them and commits to them in groups. It knows no tables: each store brings
// its own migrations and statements, and several stores may live in one file.
//
// A file has one writer goroutine. Everything that wants to write hands it a function; all functions that wait at the
// same moment run in one transaction and share one fsync, so that many small writers cost the disk what one does.
// Readers have a pool of their own and see only what is committed.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the "sqlite" driver
)

// Durability says what a commit survives.
type Durability int

const (
	// Durable commits survive loss of power, and deleted rows are overwritten with zeros: ledger, vault, keys.
	Durable Durability = iota
	// Cached commits survive the death of the process; the newest may be lost with the power: records.
	Cached
)

// maxReaders is how many reads run at once on one file. A reader costs one connection with its page cache.
const maxReaders = 8

var (
	// ErrClosed is returned by Commit and Scrub after Close.
	ErrClosed = errors.New("sqldb: the database is closed")
	// ErrNewer is returned by Migrate when a newer program has already migrated the file.
	ErrNewer = errors.New("sqldb: the file was written by a newer version of this program")
	// ErrBusy is returned by Scrub when a reader still needs the old pages. Try again later.
	ErrBusy = errors.New("sqldb: a reader holds old pages")
)

// DB is one SQLite file. The embedded sql.DB reads only; writing goes through Commit.
type DB struct {
	*sql.DB
	path   string
	dsn    string
	writes *writer
}

// Open opens the file at path, creating it and its directory for this user alone (0600, 0700) when they are missing.
// The caller closes it.
func Open(ctx context.Context, path string, d Durability) (*DB, error) {
	abs, err := private(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	db := &DB{path: path, dsn: dsn(abs, d)}
	if db.writes, err = newWriter(ctx, db.dsn); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if db.DB, err = sql.Open("sqlite", db.dsn+"&_pragma=query_only(1)"); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s for reading: %w", path, err), db.writes.close())
	}
	db.SetMaxOpenConns(maxReaders)
	db.SetMaxIdleConns(maxReaders)
	return db, nil
}

// private makes sure that the file exists and that no other user may read it. SQLite gives its -wal and -shm files the
// same mode.
func private(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(abs), 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(abs, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	return abs, errors.Join(f.Chmod(0o600), f.Close())
}

// dsn is the driver's name for the file. busy_timeout covers another process that holds the write lock for a moment.
func dsn(abs string, d Durability) string {
	pragmas := []string{"busy_timeout(5000)", "journal_mode(WAL)", "foreign_keys(1)"}
	if d == Durable {
		pragmas = append(pragmas, "synchronous(FULL)", "secure_delete(1)")
	} else {
		pragmas = append(pragmas, "synchronous(NORMAL)")
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}.Encode()}
	return u.String()
}

// Commit runs f in the next group commit and returns when that commit is durable. All Commits that arrive while one is
// being written share one transaction and one fsync. An error of f undoes f alone and is returned as it is; f runs at
// most once. While f waits its turn ctx may end it: then ctx's error is returned and f is not run. Once f runs it is
// no longer interrupted, and the ctx it gets never ends.
//
// f runs on the writer's goroutine: it must be short, must not call Commit and must not keep tx.
func (db *DB) Commit(ctx context.Context, f func(ctx context.Context, tx *Tx) error) error {
	return db.writes.do(ctx, f)
}

// Queued is how many Commits wait for the next transaction.
func (db *DB) Queued() int {
	db.writes.mu.Lock()
	defer db.writes.mu.Unlock()
	return len(db.writes.queue)
}

// Scrub moves everything committed from the write-ahead log into the file and empties the log, so that rows deleted
// before leave no copy there. Errors: ErrBusy, ErrClosed.
func (db *DB) Scrub(ctx context.Context) error {
	return db.writes.do(ctx, nil)
}

// Close waits for the last commit, empties the write-ahead log and closes the file. It may be called twice.
func (db *DB) Close() error {
	return errors.Join(db.DB.Close(), db.writes.close())
}
