package media

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// newCarrier is the best carrier of this system.
func newCarrier(l *loop) (carrier, error) { return newEpollCarrier(l) }

// maxEvents is how many sockets are served before the clock is looked at again: about 1 ms of work.
const maxEvents = 128

// An epollCarrier is one goroutine over many sockets.
//
// The epoll descriptor is itself watched by Go's scheduler: while nothing comes, the goroutine is parked like any that
// reads a socket, and holds no thread. Once woken, it makes its system calls without telling the scheduler, since none
// of them waits: that saves what entering and leaving a call costs a goroutine.
//
// A socket is watched from its first lease on, deaf or not: what comes while it is deaf is read and dropped, so that
// nothing piles up in it and a lease has no more to do than to see that it is empty. It is closed after the goroutine has
// ended only, so that no number held by a batch can mean another file.
type epollCarrier struct {
	loop  *loop
	epoll *os.File
	fd    int // of epoll
	timer int // a timerfd, watched by epoll as socket 0

	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	watched []watched // by the number given to epoll; 0 is the timer
	spare   []int32   // numbers that are not in use
	closing bool

	// Used by the goroutine alone.
	events [maxEvents]unix.EpollEvent
	batch  [maxEvents]watched
	buf    [maxDatagram]byte
	from   unix.RawSockaddrInet6 // the longer of the two kinds
	ended  bool
}

// A watched is a socket in a carrier's care, and who hears it.
type watched struct {
	fd int
	to receiver // nil: deaf
}

// newEpollCarrier starts the carrier of a loop.
func newEpollCarrier(l *loop) (carrier, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // what lets Go's scheduler watch it
		return nil, errors.Join(fmt.Errorf("epoll: %w", err), unix.Close(fd))
	}
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create timer: %w", err), unix.Close(fd))
	}
	c := &epollCarrier{loop: l, fd: fd, timer: timer, done: make(chan struct{}), watched: make([]watched, 1)}
	err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, timer, &unix.EpollEvent{Events: unix.EPOLLIN})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch timer: %w", err), unix.Close(timer), unix.Close(fd))
	}
	c.epoll = os.NewFile(uintptr(fd), "epoll")
	conn, err := c.epoll.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch epoll: %w", err), unix.Close(timer), c.epoll.Close())
	}
	go c.serve(conn)
	return c, nil
}

// serve is the goroutine. It ends after close.
func (c *epollCarrier) serve(conn syscall.RawConn) {
	defer close(c.done)
	var n int
	poll := func(uintptr) bool {
		n = epollPoll(c.fd, c.events[:])
		return n > 0
	}
	for !c.ended {
		if err := conn.Read(poll); err != nil {
			panic(fmt.Sprintf("media: epoll cannot be watched: %v", err)) // it is closed by close alone, after us
		}
		c.serveBatch(n)
	}
}

// serveBatch takes one datagram from each socket that has any; epoll names those with more again.
func (c *epollCarrier) serveBatch(n int) {
	c.lookUp(n)
	due := false
	for i, w := range c.batch[:n] {
		if c.events[i].Fd == 0 {
			due = true
			continue
		}
		c.serveSocket(w)
	}
	if due {
		drainTimer(c.timer)
		c.loop.run(time.Now())
		c.checkEnd()
	}
}

// checkEnd sees whether close was called. It is asked after the timer was drained and perhaps set anew: both undo the
// wake that close makes.
func (c *epollCarrier) checkEnd() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = c.closing
}

// lookUp turns the numbers of a batch into sockets and receivers. Who hears a datagram is thus settled before it is read:
// one that came before a lease is read for the stream before, or for nobody, or drained by renew; the new stream can be
// found here only after that. A number that was given up since the batch was polled is the socket's that has it now, or
// nobody's.
func (c *epollCarrier) lookUp(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.events[:n] {
		c.batch[i] = c.watched[e.Fd]
	}
}

// serveSocket brings in one datagram.
func (c *epollCarrier) serveSocket(w watched) {
	n, ok := recvFrom(w.fd, c.buf[:], &c.from)
	if ok && w.to != nil {
		w.to(time.Now(), addrPort(&c.from), c.buf[:n])
	}
}

// wake sets the timer; a time that has passed is now.
func (c *epollCarrier) wake(d time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(d), 1))}
	if err := unix.TimerfdSettime(c.timer, 0, &spec, nil); err != nil {
		panic(fmt.Sprintf("media: timer cannot be set: %v", err)) // it is ours and the time is valid
	}
}

// close stops the goroutine.
func (c *epollCarrier) close() error {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.wake(0)
	<-c.done
	return errors.Join(unix.Close(c.timer), c.epoll.Close())
}
