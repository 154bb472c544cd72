package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"callhall/call"

	"golang.org/x/time/rate"
)

// visit is what the gate knows of one request. Handlers read it from their context.
type visit struct {
	id    string // "req_" and 128 random bits
	token Token
	reach Reach
}

type visitKey struct{}

// visitOf is the visit of a request's ctx. Outside of one it is zero: nobody, of no city, with no reach.
func visitOf(ctx context.Context) visit {
	v, _ := ctx.Value(visitKey{}).(visit)
	return v
}

func requestID(ctx context.Context) string { return visitOf(ctx).id }

// gate is what every request passes: it gets an id, safe headers and a time limit, and goes on only where the table
// lets it.
func (c *Console) gate() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		v := visit{id: "req_" + strings.TrimPrefix(string(call.NewID()), "cl_")}
		r = r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
		w := &answer{ResponseWriter: rw, stall: c.cfg.StallTimeout}
		secure(w.Header(), r)
		w.Header().Set("X-Request-Id", v.id)
		handler, route := c.mux.Handler(r)
		began := c.cfg.Now()
		defer func() { c.leave(w, r, route, began, recover()) }()
		if route == "" {
			c.lost(w, r, handler)
			return
		}
		c.admit(w, r, route, v)
	})
}

// admit lets a request for a known route in, or says why not.
func (c *Console) admit(w http.ResponseWriter, r *http.Request, route string, v visit) {
	rule, ok := ruleOf(route)
	if !ok {
		c.cfg.Log.Error("a route is not in the table of roles and is refused to all", "route", route, "request_id", v.id)
		writeProblem(w, r, http.StatusForbidden)
		return
	}
	if rule.permission != public {
		status := http.StatusOK
		if v.token, status = c.identify(r); status == http.StatusOK {
			v.reach, status = rule.reachOf(v.token), c.allow(v.token)
		}
		if status == http.StatusOK && v.reach == none {
			status = http.StatusForbidden
		}
		if status != http.StatusOK {
			c.refuse(w, r, status, route, v)
			return
		}
	}
	if rule.secured && !secured(r) {
		c.cfg.Log.Info("a request about a number in the clear was refused", "request_id", v.id, "route", route, "actor", v.token.Actor())
		write(w, insecure.problem(r.Context(), http.StatusForbidden))
		return
	}
	ctx := context.WithValue(r.Context(), visitKey{}, v)
	if !rule.long {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.RequestTimeout)
		defer cancel()
	}
	c.mux.ServeHTTP(w, r.WithContext(ctx))
}

// secured tells whether nobody on the way can read a request and its answer (RULES.md O9): it came over TLS, or from this
// machine. A proxy here that says for whom it asks must say that they used TLS.
func secured(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return false
	}
	proxied := r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("X-Forwarded-Proto") != ""
	return !proxied || r.Header.Get("X-Forwarded-Proto") == "https"
}

// identify finds the token of a request, in its Authorization header and nowhere else.
func (c *Console) identify(r *http.Request) (Token, int) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Token{}, http.StatusUnauthorized
	}
	t, err := c.deps.Tokens.Find(r.Context(), secret)
	switch {
	case errors.Is(err, ErrNoToken):
		return Token{}, http.StatusUnauthorized
	case err == nil:
		if err = c.settled(r.Context(), t); err == nil {
			return t, http.StatusOK
		}
		c.cfg.Log.Error("a token is refused: its grant is not in the ledger", "request_id", requestID(r.Context()), "token", t.ID, "err", err)
		return Token{}, http.StatusServiceUnavailable
	default:
		c.cfg.Log.Error("tokens cannot be read", "request_id", requestID(r.Context()), "err", err)
		return Token{}, http.StatusServiceUnavailable
	}
}

// settleTime is how long a token that was never used waits for its grant to be in the ledger.
const settleTime = 10 * time.Second

// settled returns when the grant of t is in its city's ledger: nobody is let in without a trace.
func (c *Console) settled(ctx context.Context, t Token) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	return c.deps.Journal.Settle(ctx, t)
}

// refuse answers a request that may not go on, and tells the operator who tried what.
func (c *Console) refuse(w http.ResponseWriter, r *http.Request, status int, route string, v visit) {
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="callhall"`) // RFC 6750 §3
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
	}
	c.cfg.Log.Info("a request was refused", "request_id", v.id, "route", route, "status", status,
		"actor", v.token.Actor(), "role", string(v.token.Role))
	writeProblem(w, r, status)
}

// lost answers a request for no route: 404, or 405 where another method would do.
func (c *Console) lost(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	said := &silent{header: http.Header{}, status: http.StatusNotFound}
	handler.ServeHTTP(said, r)
	if allow := said.header.Get("Allow"); allow != "" && said.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allow)
		writeProblem(w, r, http.StatusMethodNotAllowed)
		return
	}
	writeProblem(w, r, http.StatusNotFound)
}

// silent hears what a handler would have answered, and says none of it.
type silent struct {
	header http.Header
	status int
}

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) Write(b []byte) (int, error) { return len(b), nil }
func (s *silent) WriteHeader(status int)      { s.status = status }

// leave ends a request: what panicked is told to the log and to the caller, and the time is counted. The log has the
// route, never the address with its query.
func (c *Console) leave(w *answer, r *http.Request, route string, began time.Time, panicked any) {
	if panicked != nil && panicked != http.ErrAbortHandler {
		c.cfg.Log.Error("a request panicked", "request_id", requestID(r.Context()), "route", route,
			"panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
		if w.status == 0 {
			writeProblem(w, r, http.StatusInternalServerError)
		}
		panicked = http.ErrAbortHandler
	}
	method, path, _ := strings.Cut(route, " ")
	if route == "" {
		method, path = "other", "none" // what strangers send must not become labels
	}
	took := c.cfg.Now().Sub(began)
	c.seconds.WithLabelValues(path, method, strconv.Itoa(w.status)).Observe(took.Seconds())
	c.cfg.Log.Debug("request", "request_id", requestID(r.Context()), "route", route, "status", w.status, "duration_s", took.Seconds())
	if panicked != nil {
		panic(panicked) // net/http closes the connection, so that half an answer is not taken for a whole one
	}
}

// secure sets the headers that keep browsers from doing anything with an answer but showing it.
func secure(h http.Header, r *http.Request) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// answer is a ResponseWriter that knows its status, and that a slow reader may hold open but a stalled one may not.
type answer struct {
	http.ResponseWriter
	stall  time.Duration
	status int // 0 until something is written
}

// Unwrap lets http.ResponseController through.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	// A writer that knows no deadlines is a test's.
	_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(a.stall))
	return a.ResponseWriter.Write(b)
}

// maxAllowances bounds how many tokens' rates are remembered; a token that has been quiet needs no remembering.
const maxAllowances = 10000

// allow takes one request from the token's rate: 200, or 429 when there is none left.
func (c *Console) allow(t Token) int {
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.limits[t.ID]
	if a == nil {
		c.forgetQuiet(now)
		a = rate.NewLimiter(rate.Limit(c.cfg.Rate), c.cfg.Burst)
		c.limits[t.ID] = a
	}
	if !a.AllowN(now, 1) {
		return http.StatusTooManyRequests
	}
	return http.StatusOK
}

// forgetQuiet makes room by forgetting tokens whose whole rate is there again. c.mu is held.
func (c *Console) forgetQuiet(now time.Time) {
	if len(c.limits) < maxAllowances {
		return
	}
	for id, a := range c.limits {
		if a.TokensAt(now) >= float64(c.cfg.Burst) {
			delete(c.limits, id)
		}
	}
}
