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
// Sockets are closed by the goroutine between two batches only, so that no number it holds can mean another file.
type epollCarrier struct {
	loop  *loop
	epoll *os.File
	fd    int // of epoll
	timer int // a timerfd, watched by epoll as socket 0

	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	bound   map[*rawSocket]struct{}
	sockets []*rawSocket // those that listen, by the number given to epoll; 0 is the timer
	spare   []int32      // numbers that are not in use
	retired []int        // descriptors to be closed
	closing bool

	// Used by the goroutine alone.
	events [maxEvents]unix.EpollEvent
	batch  [maxEvents]*rawSocket
	buf    [maxDatagram]byte
	from   unix.RawSockaddrInet6 // the longer of the two kinds
	ended  bool
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
	c := &epollCarrier{loop: l, fd: fd, timer: timer, done: make(chan struct{})}
	c.bound, c.sockets = make(map[*rawSocket]struct{}), make([]*rawSocket, 1)
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
	for _, s := range c.batch[:n] {
		if s == &timerSocket {
			due = true
			continue
		}
		if s != nil {
			c.serveSocket(s)
		}
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

// timerSocket stands for the timer in a batch.
var timerSocket rawSocket

// lookUp turns the numbers of a batch into sockets and closes what was retired.
func (c *epollCarrier) lookUp(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.events[:n] {
		c.batch[i] = c.sockets[e.Fd]
		if e.Fd == 0 {
			c.batch[i] = &timerSocket
		}
	}
	for _, fd := range c.retired {
		_ = unix.Close(fd) // a UDP socket has nothing left to fail with
	}
	c.retired = c.retired[:0]
}

// serveSocket brings in one datagram.
func (c *epollCarrier) serveSocket(s *rawSocket) {
	n, ok := recvFrom(s.fd, c.buf[:], &c.from)
	if !ok {
		return
	}
	s.to(time.Now(), addrPort(&c.from), c.buf[:n])
}

// wake sets the timer; a time that has passed is now.
func (c *epollCarrier) wake(d time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(d), 1))}
	if err := unix.TimerfdSettime(c.timer, 0, &spec, nil); err != nil {
		panic(fmt.Sprintf("media: timer cannot be set: %v", err)) // it is ours and the time is valid
	}
}

// close stops the goroutine and then closes everything that is left.
func (c *epollCarrier) close() error {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.wake(0)
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	faults := []error{unix.Close(c.timer), c.epoll.Close()}
	for _, fd := range c.retired {
		faults = append(faults, unix.Close(fd))
	}
	for s := range c.bound {
		faults = append(faults, unix.Close(s.fd))
	}
	return errors.Join(faults...)
}
