package call

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Errors of what is asked of a call that goes on.
var (
	ErrUnknownCall    = errors.New("no such call goes on")
	ErrNotTalking     = errors.New("caller and agent are not talking")
	ErrNotYours       = errors.New("another agent has the call")
	ErrUnknownPartner = errors.New("no such partner")
	ErrBusy           = errors.New("another transfer is on its way")
	ErrNoTransfer     = errors.New("no transfer is on its way")
)

// liveCalls are the calls that go on, by city and id.
type liveCalls struct {
	mu    sync.Mutex
	calls map[liveKey]*Call
	begin func(*Call) // starts a call of ours; nil while nobody would wait for its end
}

// liveKey names a call. A call of another city is another call.
type liveKey struct {
	city CityID
	id   ID
}

func (l *liveCalls) add(c *Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls == nil {
		l.calls = make(map[liveKey]*Call)
	}
	l.calls[c.key()] = c
}

func (l *liveCalls) remove(c *Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, c.key())
}

func (l *liveCalls) find(k liveKey) *Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[k]
}

func (l *liveCalls) beginBy(begin func(*Call)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begin = begin
}

// start begins a call of ours. It reports false when there is nobody to wait for its end.
func (l *liveCalls) start(c *Call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begin == nil {
		return false
	}
	l.begin(c)
	return true
}

func (c *Call) key() liveKey { return liveKey{c.arrival.City, c.arrival.ID} }

// Look is the record of a call that goes on as it stands now, without its quality. Errors: ErrUnknownCall,
// ErrUnavailable, ctx's.
func (s *Switchboard) Look(ctx context.Context, city CityID, id ID) (Record, error) {
	var r Record
	answer := make(chan error, 1)
	if err := s.ask(ctx, liveKey{city, id}, lookAsked{&r, answer}, answer); err != nil {
		return Record{}, fmt.Errorf("look at call %s: %w", id, err)
	}
	return r, nil
}

// lookAsked asks for the record as it stands.
type lookAsked struct {
	into   *Record
	answer chan<- error // has room for it
}

func (lookAsked) event() {}

// show answers a look.
func (c *Call) show(ev lookAsked) {
	r := c.record
	r.Timeline, r.Quality = slices.Clone(r.Timeline), maps.Clone(r.Quality)
	*ev.into = r
	ev.answer <- nil
}

// ask puts a question or an order into a call's inbox and waits for the answer.
func (s *Switchboard) ask(ctx context.Context, k liveKey, order Event, answer <-chan error) error {
	c := s.live.find(k)
	if c == nil {
		return ErrUnknownCall
	}
	if !c.inbox.TryPut(order) {
		return fmt.Errorf("the call is over or has too much to do: %w", ErrUnavailable)
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-c.inbox.over:
	}
	select {
	case err := <-answer: // just before it was over
		return err
	default:
		return ErrUnknownCall
	}
}
