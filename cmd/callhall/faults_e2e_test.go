package main

import (
	"context"
	"fmt"
	"os"
	"testing"

	"callhall/sqldb"
)

// holdDatabase takes the write lock of a database and keeps it until release: whoever else would write to it waits, and
// fails. Release may be called twice.
func holdDatabase(t *testing.T, path string) (release func()) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), path, sqldb.Durable)
	must(t, err)
	held, done, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- db.Commit(context.WithoutCancel(t.Context()), func(context.Context, *sqldb.Tx) error {
			close(held)
			<-done
			return fmt.Errorf("nothing was to be written")
		})
	}()
	<-held
	var released bool
	release = func() {
		if released {
			return
		}
		released = true
		close(done)
		<-ended
		must(t, db.Close())
	}
	t.Cleanup(release)
	return release
}

// forget takes a database away with all that was in it, as a restored backup from before does.
func forget(t *testing.T, path string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}
