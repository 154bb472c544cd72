package stir

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"
)

// CRL says where revocation lists come from. Without files and URLs nothing is checked for revocation. STI-PA publishes
// one indirect list for all authorities (ATIS-1000080); lists of single authorities are taken as well.
type CRL struct {
	Files    []string            // PEM or DER, read again at every refresh
	URLs     []string            // HTTPS, under the same guard as certificates; what a caller's certificate names is never fetched
	Signers  []*x509.Certificate // who may sign lists, besides the roots
	Every    time.Duration       // between refreshes; 0: 1 h
	Grace    time.Duration       // how long a list stands in for the one that should have followed it; 0: 24 h
	MaxBytes int64               // of one list; 0: 8 MiB
	Timeout  time.Duration       // for one list; 0: 10 s
}

// retry is how soon a refresh that failed is tried again.
const retry = time.Minute

func (c CRL) withDefaults() CRL {
	c.Every = or(c.Every, time.Hour)
	c.Grace = or(c.Grace, 24*time.Hour)
	c.MaxBytes = or(c.MaxBytes, 8<<20)
	c.Timeout = or(c.Timeout, 10*time.Second)
	return c
}

// revocations are the lists at hand, one for each file and URL. The last good one stays until a newer one is there, and
// what it revokes stays revoked.
type revocations struct {
	conf    CRL
	fetcher *fetcher
	now     func() time.Time

	mu    sync.RWMutex
	lists map[string]*crl // by file or URL
}

// newRevocations reads the files. It is nil where no list is configured.
func newRevocations(conf CRL, f *fetcher, ports []uint16, now func() time.Time) (*revocations, error) {
	if len(conf.Files) == 0 && len(conf.URLs) == 0 {
		return nil, nil
	}
	for _, raw := range conf.URLs {
		if _, ok := location(raw, ports); !ok {
			return nil, fmt.Errorf("revocation list %s: not an https URL on a permitted port", raw)
		}
	}
	r := &revocations{conf: conf, fetcher: f, now: now, lists: map[string]*crl{}}
	var faults []error
	for _, path := range conf.Files {
		faults = append(faults, r.take(path, func() ([]byte, error) { return readFile(path, conf.MaxBytes) }))
	}
	return r, errors.Join(faults...)
}

// refresh reads every file and URL again. The error joins what went wrong; the other lists are there.
func (r *revocations) refresh(ctx context.Context) error {
	var faults []error
	for _, path := range r.conf.Files {
		faults = append(faults, r.take(path, func() ([]byte, error) { return readFile(path, r.conf.MaxBytes) }))
	}
	for _, raw := range r.conf.URLs {
		faults = append(faults, r.take(raw, func() ([]byte, error) { return r.fetch(ctx, raw) }))
	}
	return errors.Join(faults...)
}

func (r *revocations) fetch(ctx context.Context, raw string) ([]byte, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.conf.Timeout)
	defer cancel()
	body, _, err := r.fetcher.get(ctx, u, r.conf.MaxBytes)
	return body, err
}

// take reads one list and keeps it, unless one at hand is newer: an old list played again revokes nobody less.
func (r *revocations) take(name string, read func() ([]byte, error)) error {
	body, err := read()
	if err != nil {
		return fmt.Errorf("revocation list %s: %w", name, err)
	}
	list, err := parseCRL(body, r.conf.Signers, r.now())
	if err != nil {
		return fmt.Errorf("revocation list %s: %w", name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.lists[name]; old != nil && list.thisUpdate.Before(old.thisUpdate) {
		return fmt.Errorf("revocation list %s: older than the one at hand", name)
	}
	r.lists[name] = list
	return nil
}

// check looks the certificates of a chain up, leaf first. The leaf must be covered by a list that is recent enough; those
// of the authorities above it are looked up, and count as good where no list is about them.
func (r *revocations) check(at time.Time, ids []certID) Reason {
	if r == nil {
		return OK
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	covered := false
	for _, l := range r.lists {
		for _, id := range ids {
			if _, revoked := l.revoked[id]; revoked {
				return Revoked
			}
		}
		covered = covered || l.covers(ids[0]) && at.Before(l.nextUpdate.Add(r.conf.Grace))
	}
	if !covered {
		return RevocationUnknown
	}
	return OK
}

// oldest is when the first of the lists should be followed by a newer one; zero where one is missing.
func (r *revocations) oldest() (first time.Time) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.lists) < len(r.conf.Files)+len(r.conf.URLs) {
		return time.Time{}
	}
	for _, l := range r.lists {
		if first.IsZero() || l.nextUpdate.Before(first) {
			first = l.nextUpdate
		}
	}
	return first
}
