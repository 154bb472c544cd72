package load

import (
	"sync"
	"time"
)

// line acts on each call a fixed time after it was put in. One delay for all means that they come due in order.
type line struct {
	delay time.Duration
	act   func(callID string)
	more  chan struct{} // holds one: something was put in
	stop  chan struct{}
	wg    sync.WaitGroup

	mu    sync.Mutex
	calls []due
}

type due struct {
	at     time.Time
	callID string
}

func newLine(delay time.Duration, act func(callID string)) *line {
	l := &line{delay: delay, act: act, more: make(chan struct{}, 1), stop: make(chan struct{})}
	l.wg.Go(l.run)
	return l
}

func (l *line) close() {
	close(l.stop)
	l.wg.Wait()
}

func (l *line) put(callID string) {
	l.mu.Lock()
	l.calls = append(l.calls, due{time.Now().Add(l.delay), callID})
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *line) run() {
	for {
		next, some := l.first()
		var ready <-chan time.Time
		if some {
			ready = time.After(time.Until(next.at))
		}
		select {
		case <-l.stop:
			return
		case <-l.more:
		case <-ready:
			l.mu.Lock()
			l.calls = l.calls[1:]
			l.mu.Unlock()
			l.act(next.callID)
		}
	}
}

func (l *line) first() (due, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.calls) == 0 {
		return due{}, false
	}
	return l.calls[0], true
}
