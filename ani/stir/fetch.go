package stir

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Fetch bounds how certificates are fetched. The zero value is what a carrier's trunk needs.
type Fetch struct {
	Timeout    time.Duration  // for one fetch, from the look-up of the name to the last byte; 0: 1 s
	MaxBytes   int64          // of what one address serves; 0: 64 KiB
	Ports      []uint16       // nil: 443 and 8443
	Allow      []netip.Prefix // addresses that are permitted although not public: a mirror of the city's own, tests
	TLSRoots   *x509.CertPool // who vouches for the repositories' own TLS certificates; nil: the system's roots
	Resolver   Resolver       // nil: the system's
	Entries    int            // certificates kept; 0: 1024
	Concurrent int            // fetches at a time; 0: 32. What comes above is not fetched.
}

func (f Fetch) withDefaults() Fetch {
	f.Timeout = or(f.Timeout, time.Second)
	f.MaxBytes = or(f.MaxBytes, 64<<10)
	f.Entries = or(f.Entries, 1024)
	f.Concurrent = or(f.Concurrent, 32)
	if len(f.Ports) == 0 {
		f.Ports = []uint16{443, 8443}
	}
	if f.Resolver == nil {
		f.Resolver = net.DefaultResolver
	}
	return f
}

func or[T comparable](v, standard T) T {
	var zero T
	if v == zero {
		return standard
	}
	return v
}

var errTooLarge = errors.New("more than is allowed")

// fetcher asks HTTPS servers that a stranger has named. It keeps no connection, follows no redirect, unpacks nothing and
// uses no proxy.
type fetcher struct {
	client *http.Client
	ports  []uint16
}

func newFetcher(f Fetch) *fetcher {
	g := &guard{resolver: f.Resolver, allow: f.Allow, dialer: net.Dialer{Timeout: dialTimeout}}
	return &fetcher{ports: f.Ports, client: &http.Client{
		Transport: &http.Transport{
			DialContext:            g.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: f.TLSRoots},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// get returns what u serves and how long it may be kept. Errors: errForbidden, errTooLarge, and the network's; they may
// name the address, so they are for lists that the operator has configured, and not for what a caller's token says.
func (f *fetcher) get(ctx context.Context, u *url.URL, limit int64) (body []byte, keep time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("User-Agent", "callhall")
	res, err := f.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("answered with status %d", res.StatusCode)
	}
	if res.ContentLength > limit {
		return nil, 0, errTooLarge
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = errTooLarge
	}
	return body, lifetime(res.Header), err
}

// How long an answer is kept: what it says itself, within bounds. A repository that forbids keeping is asked once a
// minute all the same.
const (
	minKeep     = time.Minute
	defaultKeep = 15 * time.Minute
	maxKeep     = 24 * time.Hour
)

// lifetime reads Cache-Control, and Expires where that says nothing (RFC 9111 §5).
func lifetime(h http.Header) time.Duration {
	for _, d := range strings.Split(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(d)), "=")
		switch name {
		case "no-store", "no-cache":
			return minKeep
		case "max-age":
			n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return minKeep
			}
			return min(max(time.Duration(n)*time.Second, minKeep), maxKeep)
		}
	}
	until, err := http.ParseTime(h.Get("Expires"))
	if err != nil {
		return defaultKeep
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return minKeep
	}
	return min(max(until.Sub(date), minKeep), maxKeep)
}
