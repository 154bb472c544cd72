package stir

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/url"
	"sync"
	"time"
)

// negativeKeep is how long an address that served nothing good is left alone: a dead repository delays one call a minute.
const negativeKeep = time.Minute

// repository keeps the certificates of others. Calls that want the same one wait for the same fetch.
type repository struct {
	limits  Fetch
	fetcher *fetcher
	roots   *x509.CertPool
	now     func() time.Time
	counted func(Reason) // called once for each fetch

	mu      sync.Mutex // guards what follows
	good    *shelf[*bundle]
	bad     *shelf[Reason] // of its own, so that bad addresses cannot push out good ones
	flights map[key]*flight
	closed  bool
	fetches sync.WaitGroup
}

// flight is a fetch under way. Its result is set before landed is closed.
type flight struct {
	landed chan struct{}
	bundle *bundle
	why    Reason
}

func newRepository(limits Fetch, f *fetcher, roots *x509.CertPool, now func() time.Time, counted func(Reason)) *repository {
	return &repository{limits: limits, fetcher: f, roots: roots, now: now, counted: counted,
		good: newShelf[*bundle](limits.Entries), bad: newShelf[Reason](limits.Entries), flights: map[key]*flight{}}
}

// get returns the certificate that raw leads to. It waits until ctx ends at most; the fetch goes on without it, within its
// own time, for the calls to come.
func (r *repository) get(ctx context.Context, raw string) (*bundle, Reason) {
	u, ok := location(raw, r.limits.Ports)
	if !ok {
		return nil, Forbidden
	}
	k := key(sha256.Sum256([]byte(raw)))
	b, fl, why := r.find(ctx, k, u)
	if fl == nil {
		return b, why
	}
	select {
	case <-fl.landed:
		return fl.bundle, fl.why
	case <-ctx.Done():
		return nil, Unreachable
	}
}

// find answers from what is kept, or with the flight to wait for.
func (r *repository) find(ctx context.Context, k key, u *url.URL) (*bundle, *flight, Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, found := r.good.get(k, r.now()); found {
		return b, nil, OK
	}
	if why, found := r.bad.get(k, r.now()); found {
		return nil, nil, why
	}
	if fl, under := r.flights[k]; under {
		return nil, fl, OK
	}
	if r.closed || len(r.flights) >= r.limits.Concurrent {
		return nil, nil, Unreachable
	}
	fl := &flight{landed: make(chan struct{})}
	r.flights[k] = fl
	r.fetches.Go(func() { r.fly(context.WithoutCancel(ctx), fl, k, u) })
	return nil, fl, OK
}

// fly fetches one certificate and keeps the result, good or bad.
func (r *repository) fly(ctx context.Context, fl *flight, k key, u *url.URL) {
	ctx, cancel := context.WithTimeout(ctx, r.limits.Timeout)
	defer cancel()
	body, keep, err := r.fetcher.get(ctx, u, r.limits.MaxBytes)
	if fl.why = fetchReason(err); fl.why == OK {
		fl.bundle, fl.why = newBundle(body, r.roots, r.now())
	}
	r.counted(fl.why)
	r.mu.Lock()
	defer r.mu.Unlock()
	if fl.why == OK {
		r.good.put(k, fl.bundle, earlier(r.now().Add(keep), fl.bundle.until()))
	} else {
		r.bad.put(k, fl.why, r.now().Add(negativeKeep))
	}
	delete(r.flights, k)
	close(fl.landed)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func fetchReason(err error) Reason {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, errForbidden):
		return Forbidden
	case errors.Is(err, errTooLarge):
		return BadCertificate
	default:
		return Unreachable
	}
}

// close waits for the fetches under way, which their time limit ends, and begins no more.
func (r *repository) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.fetches.Wait()
}
