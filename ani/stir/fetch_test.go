package stir

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAddressOfCertificate: what is not an address to fetch from is asked nothing.
func TestAddressOfCertificate(t *testing.T) {
	local := netip.MustParseAddr("127.0.0.1")
	for name, row := range map[string]struct {
		want Reason
		url  func(h *hall) string
	}{
		"http":           {Forbidden, func(h *hall) string { return "http://example.com:" + h.port + "/cert.pem" }},
		"other port":     {Forbidden, func(h *hall) string { return "https://example.com:22/cert.pem" }},
		"default port":   {Forbidden, func(h *hall) string { return "https://example.com/cert.pem" }}, // 443 is not on this hall's list
		"user":           {Forbidden, func(h *hall) string { return "https://a:b@example.com:" + h.port + "/cert.pem" }},
		"fragment":       {Forbidden, func(h *hall) string { return h.url("/cert.pem#x") }},
		"no host":        {Forbidden, func(h *hall) string { return "https://:" + h.port + "/cert.pem" }},
		"file":           {Forbidden, func(h *hall) string { return "file:///etc/passwd" }},
		"no URL":         {Forbidden, func(h *hall) string { return "https://%zz" }},
		"long":           {Forbidden, func(h *hall) string { return h.url("/" + strings.Repeat("x", 2048)) }},
		"private":        {Forbidden, func(h *hall) string { return "https://private.example:" + h.port + "/cert.pem" }},
		"private number": {Forbidden, func(h *hall) string { return "https://127.0.0.2:" + h.port + "/cert.pem" }},
		"in IPv6":        {Forbidden, func(h *hall) string { return "https://[::ffff:127.0.0.2]:" + h.port + "/cert.pem" }},
		"loopback":       {Forbidden, func(h *hall) string { return "https://[::1]:" + h.port + "/cert.pem" }},
		"unknown name":   {Unreachable, func(h *hall) string { return "https://nowhere.example:" + h.port + "/cert.pem" }},
		"not its name":   {Unreachable, func(h *hall) string { return "https://other.example:" + h.port + "/cert.pem" }}, // TLS says so
		"redirect":       {Unreachable, func(h *hall) string { return h.url("/elsewhere") }},
		"not found":      {Unreachable, func(h *hall) string { return h.url("/none") }},
		"one of two":     {OK, func(h *hall) string { return h.url("/cert.pem?two") }},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t)
			h.names["private.example"] = [][]netip.Addr{{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}}
			h.names["other.example"] = [][]netip.Addr{{local}}
			h.names["example.com"] = [][]netip.Addr{{netip.MustParseAddr("192.168.1.1"), local}}
			h.handle("/elsewhere", func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, h.url("/cert.pem"), http.StatusFound)
			})
			v := h.shaken()
			v.swap(v.url, row.url(h))
			if got := v.verify(); got.Why != row.want {
				t.Errorf("got %+v, want %v", got, row.want)
			}
			if n := h.asked("/cert.pem"); (n > 0) != (row.want == OK) {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// TestNameThatChangesItsMeaning: each connection goes to an address that has been looked at, so a name that first leads to
// a permitted one and then to another gains nothing.
func TestNameThatChangesItsMeaning(t *testing.T) {
	h := newHall(t)
	h.names["example.com"] = [][]netip.Addr{{netip.MustParseAddr("127.0.0.1")}, {netip.MustParseAddr("127.0.0.2")}}
	if got := h.shaken().verify(); got.Why != OK {
		t.Fatalf("got %+v", got)
	}
	h.page("/second.pem", pemOf(pki().leaf.cert, pki().middle.cert))
	if got := h.shaken().swap("/cert.pem", "/second.pem").verify(); got.Why != Forbidden {
		t.Errorf("got %+v", got)
	}
}

// TestPublic: the addresses that a stranger may send us to.
func TestPublic(t *testing.T) {
	for s, want := range map[string]bool{
		"9.9.9.9": true, "1.1.1.1": true, "172.15.0.1": true, "172.32.0.1": true, "100.63.0.1": true, "100.128.0.1": true,
		"2620:fe::fe": true, "2a00::1": true, "::ffff:9.9.9.9": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.1.2.3": false, "100.64.0.1": false, "100.127.255.255": false, "127.0.0.1": false,
		"127.255.0.1": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.0.0.8": false, "192.0.2.1": false,
		"192.88.99.1": false, "192.168.0.1": false, "198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false,
		"224.0.0.1": false, "239.1.1.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::909:909": false, "64:ff9b:1::1": false, "100::1": false, "2001::1": false, "2001:db8::1": false,
		"2002:7f00:1::": false, "3fff::1": false, "5f00::1": false, "fc00::1": false, "fd00::1": false, "fe80::1": false, "fe80::1%eth0": false,
		"fec0::1": false, "ff02::1": false, "2a00::1%eth0": false, "::ffff:9.9.9.9%eth0": false,
	} {
		if got := public(netip.MustParseAddr(s)); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	if public(netip.Addr{}) {
		t.Error("no address at all")
	}
}

// TestSlowRepository: a call waits for Config.Wait at most, and the fetch goes on for the next call.
func TestSlowRepository(t *testing.T) {
	h := newHall(t, func(c *Config) { c.Wait = 20 * time.Millisecond })
	begun, release := make(chan struct{}), make(chan struct{})
	h.handle("/slow.pem", func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = w.Write(pemOf(pki().leaf.cert, pki().middle.cert))
	})
	v := h.shaken().swap("/cert.pem", "/slow.pem")
	if got := v.verify(); got.Why != Unreachable || got.Verstat != "none" {
		t.Errorf("got %+v", got)
	}
	<-begun
	close(release)
	h.v.Close()
	if got := v.verify(); got.Why != OK {
		t.Errorf("later: got %+v", got)
	}
}

// TestFetchEnds: a repository that never answers is given up after Fetch.Timeout.
func TestFetchEnds(t *testing.T) {
	h := newHall(t, func(c *Config) { c.Fetch.Timeout = 20 * time.Millisecond })
	gone := make(chan struct{})
	h.handle("/never.pem", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(gone) })
	if got := h.shaken().swap("/cert.pem", "/never.pem").verify(); got.Why != Unreachable {
		t.Errorf("got %+v", got)
	}
	h.v.Close()
	h.server.CloseClientConnections()
}

// TestCallerGone: a call that ends does not wait, and takes the fetch from nobody.
func TestCallerGone(t *testing.T) {
	h := newHall(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v := h.shaken()
	v.claim.Identity = []string{v.header()}
	if got := h.v.Verify(ctx, v.claim); got.Why != Unreachable && got.Why != OK {
		t.Errorf("got %+v", got)
	}
	h.v.Close()
	if got := v.verify(); got.Why != OK {
		t.Errorf("later: got %+v", got)
	}
}

// TestDeadRepository: it is asked once a minute, whoever calls.
func TestDeadRepository(t *testing.T) {
	h := newHall(t)
	v := h.shaken().swap("/cert.pem", "/dead.pem")
	for _, step := range []struct {
		wait  time.Duration
		asked int
	}{{0, 1}, {0, 1}, {59 * time.Second, 1}, {time.Second, 2}} {
		h.advance(step.wait)
		if got := v.verify(); got.Why != Unreachable || h.asked("/dead.pem") != step.asked {
			t.Errorf("after %v: %+v, asked %d times", step.wait, got, h.asked("/dead.pem"))
		}
	}
	h.page("/dead.pem", pemOf(pki().leaf.cert, pki().middle.cert))
	h.advance(time.Minute)
	if got := v.verify(); got.Why != OK {
		t.Errorf("back again: %+v", got)
	}
}

// TestKept: a certificate is fetched again when the server's own time for it is over, or its own.
func TestKept(t *testing.T) {
	h := newHall(t)
	h.handle("/kept.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		_, _ = w.Write(pemOf(pki().leaf.cert, pki().middle.cert))
	})
	v := h.shaken().swap("/cert.pem", "/kept.pem")
	for _, step := range []struct {
		wait  time.Duration
		asked int
	}{{0, 1}, {0, 1}, {599 * time.Second, 1}, {time.Second, 2}} {
		h.advance(step.wait)
		if got := v.verify(); got.Why != OK || h.asked("/kept.pem") != step.asked {
			t.Errorf("after %v: %+v, asked %d times", step.wait, got, h.asked("/kept.pem"))
		}
	}
	h.advance(13 * time.Hour)
	v.claim.At = h.now()
	v.claim.Identity = nil
	v.claims = signedAt(v, v.claim.At)
	if got := v.verify(); got.Why != CertificateExpired || h.asked("/kept.pem") != 3 {
		t.Errorf("expired: %+v, asked %d times", got, h.asked("/kept.pem"))
	}
}

func signedAt(v *vector, at time.Time) string {
	return strings.Replace(v.claims, fmt.Sprint(callTime.Unix()-3), fmt.Sprint(at.Unix()), 1)
}

// TestExpiresWhileKept: validity counts at the time of the call, not of the fetch.
func TestExpiresWhileKept(t *testing.T) {
	h := newHall(t)
	v := h.shaken()
	v.verify()
	v.claim.At = callTime.Add(12*time.Hour + time.Second)
	v.claim.Identity = nil
	v.claims = signedAt(v, v.claim.At)
	if got := v.verify(); got.Why != CertificateExpired || h.asked("/cert.pem") != 1 {
		t.Errorf("got %+v, asked %d times", got, h.asked("/cert.pem"))
	}
}

// TestNotKeptBeyondItsEnd: a server may allow a day, and the certificate ends before.
func TestNotKeptBeyondItsEnd(t *testing.T) {
	h := newHall(t)
	h.handle("/long.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=86400")
		_, _ = w.Write(pemOf(pki().leaf.cert, pki().middle.cert))
	})
	v := h.shaken().swap("/cert.pem", "/long.pem")
	v.verify()
	h.advance(12*time.Hour + time.Second)
	v.claim.At, v.claim.Identity = h.now(), nil
	v.claims = signedAt(v, v.claim.At)
	if got := v.verify(); got.Why != CertificateExpired || h.asked("/long.pem") != 2 {
		t.Errorf("got %+v, asked %d times", got, h.asked("/long.pem"))
	}
}

// TestOneFetchForAll: calls that come together wait for one fetch.
func TestOneFetchForAll(t *testing.T) {
	h := newHall(t)
	arrived := make(chan struct{})
	h.handle("/busy.pem", func(w http.ResponseWriter, _ *http.Request) {
		<-arrived
		_, _ = w.Write(pemOf(pki().leaf.cert, pki().middle.cert))
	})
	v := h.shaken().swap("/cert.pem", "/busy.pem")
	v.claim.Identity = []string{v.header()}
	var calls, started sync.WaitGroup
	for range 20 {
		started.Add(1)
		calls.Go(func() {
			started.Done()
			if got := h.v.Verify(t.Context(), v.claim); got.Why != OK {
				t.Errorf("got %+v", got)
			}
		})
	}
	started.Wait()
	close(arrived)
	calls.Wait()
	if n := h.asked("/busy.pem"); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

// TestTooManyFetches: above the bound nothing is fetched, and that is held against nobody.
func TestTooManyFetches(t *testing.T) {
	h := newHall(t, func(c *Config) { c.Fetch.Concurrent, c.Wait = 1, 20*time.Millisecond })
	release := make(chan struct{})
	h.handle("/slow.pem", func(http.ResponseWriter, *http.Request) { <-release })
	h.shaken().swap("/cert.pem", "/slow.pem").verify()
	if got := h.shaken().verify(); got.Why != Unreachable || h.asked("/cert.pem") != 0 {
		t.Errorf("above the bound: %+v", got)
	}
	close(release)
	h.v.Close()
	h.v.certs.closed = false
	h.v.conf.Wait = 5 * time.Second
	if got := h.shaken().verify(); got.Why != OK {
		t.Errorf("later: %+v", got)
	}
}

// TestShelf: what was not used for longest makes room.
func TestShelf(t *testing.T) {
	s := newShelf[int](2)
	a, b, c := key{1}, key{2}, key{3}
	later := callTime.Add(time.Minute)
	s.put(a, 1, later)
	s.put(b, 2, later)
	s.put(a, 3, later)
	s.put(b, 5, later)
	s.get(a, callTime)
	s.put(c, 4, later)
	if _, found := s.get(b, callTime); found || len(s.items) != 2 || s.order.Len() != 2 {
		t.Error("the oldest is still there")
	}
	if v, found := s.get(a, callTime); !found || v != 3 {
		t.Error("the newest is not", v)
	}
	if _, found := s.get(a, later); found || len(s.items) != 1 {
		t.Error("its time is over")
	}
}

// TestLifetime: how long an answer is kept.
func TestLifetime(t *testing.T) {
	for want, headers := range map[time.Duration][]http.Header{
		defaultKeep: {{}, {"Cache-Control": {"public"}}},
		minKeep: {{"Cache-Control": {"no-store"}}, {"Cache-Control": {"max-age=3"}}, {"Cache-Control": {"max-age=-1"}}, {"Cache-Control": {"max-age=x"}},
			{"Expires": {"Wed, 04 Mar 2026 05:06:07 GMT"}},
			{"Expires": {"Wed, 04 Mar 2026 05:06:07 GMT"}, "Date": {"Wed, 04 Mar 2026 05:06:07 GMT"}}},
		2 * time.Hour: {{"Cache-Control": {"private, Max-Age=7200"}}, {"Cache-Control": {"public", `max-age="7200"`}},
			{"Expires": {"Wed, 04 Mar 2026 07:06:07 GMT"}, "Date": {"Wed, 04 Mar 2026 05:06:07 GMT"}}},
		maxKeep: {{"Cache-Control": {"max-age=31536000"}}},
	} {
		for _, h := range headers {
			if got := lifetime(h); got != want {
				t.Errorf("%v: %v, want %v", h, got, want)
			}
		}
	}
}
