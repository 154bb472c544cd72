package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// maxGroup bounds one transaction, so that the first of a long queue is not answered with the last.
const maxGroup = 256

// A write is one function waiting for its commit. A nil f asks for a scrub instead.
type write struct {
	ctx   context.Context
	f     func(ctx context.Context, tx *Tx) error
	taken atomic.Bool // by the writer, to run it, or by its ctx, to give it up
	err   error       // of f; read by the waiter after done
	done  chan error  // one slot: the writer never waits
}

// writer owns the one connection that writes. Its goroutine ends in close.
type writer struct {
	pool *sql.DB // holds conn and nothing else
	conn *sql.Conn
	tx   *Tx

	mu     sync.Mutex
	queue  []*write
	closed bool

	wake    chan struct{} // one slot: something is queued, or closed is set
	stopped chan struct{}
	once    sync.Once
	cerr    error
}

func newWriter(ctx context.Context, dsn string) (*writer, error) {
	pool, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	w := &writer{pool: pool, conn: conn, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	w.tx = &Tx{conn: conn, cache: make(map[string]*sql.Stmt)}
	go w.run()
	return w, nil
}

// do queues f and waits for its commit.
func (w *writer) do(ctx context.Context, f func(ctx context.Context, tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &write{ctx: ctx, f: f, done: make(chan error, 1)}
	if !w.push(c) {
		return ErrClosed
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		if c.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		return <-c.done
	}
}

func (w *writer) push(c *write) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.queue = append(w.queue, c)
	w.signal()
	return true
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run writes groups until the queue is empty and closed.
func (w *writer) run() {
	defer close(w.stopped)
	var group []*write
	for range w.wake {
		for {
			var closed bool
			runtime.Gosched() // whoever is about to queue a write shares this transaction
			group, closed = w.take(group[:0])
			if len(group) == 0 {
				if closed {
					return
				}
				break
			}
			w.write(group)
			clear(group)
		}
	}
}

// take moves waiting writes to group: all that share the next transaction, or one scrub.
func (w *writer) take(group []*write) (_ []*write, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(w.queue) && len(group) < maxGroup {
		c := w.queue[n]
		if c.f == nil && len(group) > 0 {
			break
		}
		n++
		if c.taken.CompareAndSwap(false, true) {
			group = append(group, c)
			if c.f == nil {
				break
			}
		}
	}
	w.queue = append(w.queue[:0], w.queue[n:]...)
	clear(w.queue[len(w.queue):cap(w.queue)])
	return group, w.closed
}

// write runs one group and answers everyone in it.
func (w *writer) write(group []*write) {
	if group[0].f == nil {
		group[0].done <- w.scrub()
		return
	}
	err := w.commit(group)
	for _, c := range group {
		if err != nil && c.err == nil {
			c.err = err
		}
		c.done <- c.err
	}
}

// commit runs the group's functions in one transaction. Its error is that of the transaction, not of one function.
func (w *writer) commit(group []*write) error {
	ctx := context.Background()
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, c := range group {
		if err := w.one(ctx, c); err != nil {
			return errors.Join(err, w.exec(ctx, "ROLLBACK"))
		}
	}
	if err := w.exec(ctx, "COMMIT"); err != nil {
		_ = w.exec(ctx, "ROLLBACK") // SQLite may have rolled back already; the error that matters is COMMIT's
		return err
	}
	return nil
}

// one runs a single function between savepoints. Its own error undoes it and stays with it; the error returned is one
// that spoils the transaction.
func (w *writer) one(ctx context.Context, c *write) error {
	if err := w.exec(ctx, "SAVEPOINT one"); err != nil {
		return err
	}
	if c.err = c.f(context.WithoutCancel(c.ctx), w.tx); c.err != nil {
		if err := w.exec(ctx, "ROLLBACK TO one"); err != nil {
			return err
		}
	}
	return w.exec(ctx, "RELEASE one")
}

func (w *writer) exec(ctx context.Context, query string) error {
	if _, err := w.tx.ExecContext(ctx, query); err != nil {
		return fmt.Errorf("sqldb: %s: %w", query, err)
	}
	return nil
}

// scrub runs outside any transaction, as a checkpoint must.
func (w *writer) scrub() error {
	var busy, inLog, moved int
	row := w.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := row.Scan(&busy, &inLog, &moved); err != nil {
		return fmt.Errorf("sqldb: empty the write-ahead log: %w", err)
	}
	if busy != 0 {
		return ErrBusy
	}
	return nil
}

// close lets what is queued finish, then closes the connection.
func (w *writer) close() error {
	w.once.Do(func() {
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.signal()
		<-w.stopped
		err := w.scrub()
		if errors.Is(err, ErrBusy) {
			err = nil // another process reads the file; the log stays and is used at the next opening
		}
		w.cerr = errors.Join(err, w.tx.close(), w.conn.Close(), w.pool.Close())
	})
	return w.cerr
}
