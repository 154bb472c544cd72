package sip

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// A crew is goroutines that the server waits for before it closes its sockets. Once closed it takes nobody in, but
// where it has heirs: there those who are still in may bring others, to finish what they are about.
type crew struct {
	heirs  bool
	log    *slog.Logger
	mu     sync.Mutex
	closed bool
	busy   int
	left   chan struct{} // closed when the last one leaves a closed crew
}

func newCrew(heirs bool, log *slog.Logger) *crew {
	return &crew{heirs: heirs, log: log, left: make(chan struct{})}
}

// enter counts the caller in, unless the crew is closed.
func (c *crew) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed && !(c.heirs && c.busy > 0) {
		return false
	}
	c.busy++
	return true
}

// leave undoes enter.
func (c *crew) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy--
	c.settle()
}

// run calls f on a goroutine of its own. It reports false, and does nothing, when the crew is closed. A panic in f ends
// f and no call besides its own.
func (c *crew) run(f func()) bool {
	if !c.enter() {
		return false
	}
	go func() {
		defer c.leave()
		defer c.catch()
		f()
	}()
	return true
}

// catch is admission's net for goroutines of our own. What was panicked with may quote a message: only its type is
// logged.
func (c *crew) catch() {
	if p := recover(); p != nil {
		c.log.Error("work beside a call panicked", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	}
}

// close takes nobody in any more. It may be called twice.
func (c *crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.settle()
	}
}

// settle tells those who wait when a closed crew has nobody left.
func (c *crew) settle() {
	if c.closed && c.busy == 0 {
		close(c.left)
	}
}

// isClosed tells whether close was called.
func (c *crew) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// over is closed when the crew is closed and everybody has left.
func (c *crew) over() <-chan struct{} { return c.left }
