package console_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/console"

	"github.com/prometheus/client_golang/prometheus"
)

// What went wrong inside goes to the log, with the request id that the answer has, and nowhere else.
func TestTheInsideStaysInside(t *testing.T) {
	o := newOffice(t, nil)
	o.behind.fail = errInside
	for role, targets := range map[console.Role][]string{
		console.RoleSupervisor: {"/api/v1/agents", "/api/v1/queues", "/api/v1/recordings/rec_x", "/api/v1/recordings/rec_x/media?reason=legal"},
		console.RoleAgent:      {"/api/v1/me"},
		console.RolePrivacy:    {"/api/v1/ledger", "/api/v1/ledger/checkpoint", "/api/v1/ledger/export"}} {
		for _, target := range targets {
			w := o.ask(o.token("demo", role), "GET", target, "")
			p := o.problem(w, http.StatusInternalServerError)
			if strings.Contains(w.Body.String(), "secret detail") {
				t.Errorf("%s tells %s", target, w.Body)
			}
			told := regexp.MustCompile(`level=ERROR.*request_id=` + p.RequestID + `.*secret detail`)
			if !told.MatchString(o.log.String()) {
				t.Errorf("%s: the log does not tell of %s", target, p.RequestID)
			}
		}
	}
}

func TestEachFaultHasItsStatus(t *testing.T) {
	o := newOffice(t, nil)
	token := o.token("demo", console.RoleSupervisor)
	for err, status := range map[error]int{console.ErrNotFound: 404, console.ErrGone: 410, console.ErrConflict: 409,
		context.DeadlineExceeded: 503} {
		o.behind.fail = err
		o.problem(o.ask(token, "POST", "/api/v1/agents/ana/state", `{"state":"ready","reason":"back"}`), status)
	}
	o.behind.fail = nil
	o.problem(o.ask(o.token("demo", console.RolePrivacy), "GET", "/api/v1/ledger?cursor=bad", ""), http.StatusBadRequest)
}

func TestSettingAnAgentsState(t *testing.T) {
	o := newOffice(t, nil)
	const ana, ben = "/api/v1/agents/ana/state", "/api/v1/agents/ben/state"
	agent, supervisor := o.token("demo", console.RoleAgent), o.token("demo", console.RoleSupervisor)
	o.problem(o.ask(agent, "POST", ben, `{"state":"ready"}`), http.StatusForbidden)
	for body, status := range map[string]int{
		`{"state":"paused"}`:                                   422, // a supervisor says why
		`{"state":"asleep","reason":"x"}`:                      422,
		`{"state":"ready","reason":"call 212 555 0142"}`:       422,
		`{"state":"ready","reason":"x","number":"2125550142"}`: 422,
		`{"state":`: 400,
		``:          400,
		`{"state":"ready","reason":"` + strings.Repeat("x", 20<<10) + `"}`: 413,
	} {
		w := o.ask(supervisor, "POST", ana, body)
		if o.problem(w, status); strings.Contains(w.Body.String(), "0142") {
			t.Errorf("what was sent comes back: %s", w.Body)
		}
	}
	if len(o.behind.states) != 0 {
		t.Fatalf("%+v", o.behind.states)
	}
	got := into[console.Agent](t, o.ask(agent, "POST", ana, `{"state":"paused"}`))
	if got.State != "paused" || o.behind.states[0].By != "agent:ana" {
		t.Errorf("%+v, %+v", got, o.behind.states)
	}
	into[console.Agent](t, o.ask(supervisor, "POST", ben, `{"state":"ready","reason":"needed on the queue"}`))
	if change := o.behind.states[1]; !strings.HasPrefix(change.By, "token:Test supervisor/tok_") || change.Reason != "needed on the queue" {
		t.Errorf("%+v", change)
	}
}

func TestUnknownAddressesAndMethods(t *testing.T) {
	o := newOffice(t, nil)
	token := o.token("demo", console.RoleSupervisor)
	for _, target := range []string{"/x", "/api/v1", "/api/v1/users", "/api/v2/calls", "/docs", "/schemas/Problem.json", "/metrics",
		"/debug/pprof/", "/livez", "/openapi.yaml", "/api/v1/calls/a/b"} {
		o.problem(o.ask(token, "GET", target, ""), http.StatusNotFound)
	}
	w := o.ask(token, "DELETE", "/api/v1/calls", "")
	if o.problem(w, http.StatusMethodNotAllowed); !strings.Contains(w.Header().Get("Allow"), "GET") {
		t.Errorf("Allow: %q", w.Header().Get("Allow"))
	}
	o.problem(o.ask("", "HEAD", "/api/v1/me", ""), http.StatusUnauthorized)
}

// A token may make so many requests at once and so many a second; another token has its own.
func TestEachTokenHasItsRate(t *testing.T) {
	o := newOffice(t, func(c *console.Config, _ *console.Deps) { c.Rate, c.Burst = 2, 3 })
	token, other := o.token("demo", console.RoleSupervisor), o.token("demo", console.RoleSupervisor)
	for range 3 {
		if w := o.ask(token, "GET", "/api/v1/me", ""); w.Code != http.StatusOK {
			t.Fatalf("%d", w.Code)
		}
	}
	w := o.ask(token, "GET", "/api/v1/me", "")
	if o.problem(w, http.StatusTooManyRequests); w.Header().Get("Retry-After") != "1" {
		t.Errorf("%v", w.Header())
	}
	if w := o.ask(other, "GET", "/api/v1/me", ""); w.Code != http.StatusOK {
		t.Errorf("another token: %d", w.Code)
	}
	o.now = o.now.Add(500 * time.Millisecond)
	if w := o.ask(token, "GET", "/api/v1/me", ""); w.Code != http.StatusOK {
		t.Errorf("half a second later: %d", w.Code)
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	o := newOffice(t, nil)
	for _, target := range []string{"/", "/problems", "/nowhere", "/api/v1/me", "/openapi.json"} {
		h := o.ask("", "GET", target, "").Header()
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", target, name, h.Get(name))
			}
		}
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script") {
			t.Errorf("%s: %q", target, csp)
		}
		if !strings.HasPrefix(h.Get("X-Request-Id"), "req_") || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", target, h)
		}
	}
}

// No query string reaches the log, in no line and at no level.
func TestTheLogHasNoQueries(t *testing.T) {
	o := newOffice(t, nil)
	token := o.token("demo", console.RoleSupervisor)
	for _, target := range []string{"/api/v1/calls?queue=findable", "/api/v1/calls?findable=1", "/findable?findable=1",
		"/api/v1/recordings/rec_x/media?reason=findable", "/api/v1/ledger?cursor=findable"} {
		o.ask(token, "GET", target, "")
		o.ask("", "GET", target, "")
	}
	if log := o.log.String(); strings.Contains(log, "findable") || strings.Contains(log, token) || !strings.Contains(log, "route=") {
		t.Error(log)
	}
}

func TestAPanicIsAnswered(t *testing.T) {
	o := newOffice(t, func(_ *console.Config, d *console.Deps) { d.Queues = panicky{} })
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/api/v1/queues", nil)
	r.Header.Set("Authorization", "Bearer "+o.token("demo", console.RoleSupervisor))
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("panicked with %v", p)
			}
		}()
		o.Handler().ServeHTTP(w, r)
	}()
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "overboard") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(o.log.String(), "overboard") {
		t.Error("the log does not tell of it")
	}
}

// A request that does not stream may take so long and no longer; one that streams may take its time.
func TestARequestHasItsTime(t *testing.T) {
	o := newOffice(t, func(c *console.Config, d *console.Deps) {
		c.RequestTimeout = time.Nanosecond
		d.Queues, d.Recordings = timed{}, timed{}
	})
	token := o.token("demo", console.RoleSupervisor)
	o.problem(o.ask(token, "GET", "/api/v1/queues", ""), http.StatusServiceUnavailable)
	o.problem(o.ask(token, "GET", "/api/v1/recordings/rec_x/media?reason=legal", ""), http.StatusConflict)
}

// timed waits for the end of a request's time, where it has one.
type timed struct{ console.Recordings }

func (timed) Queues(ctx context.Context, _ call.CityID) ([]console.Queue, error) {
	if _, limited := ctx.Deadline(); !limited {
		return nil, console.ErrConflict
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (timed) Play(ctx context.Context, _ call.CityID, _ call.RecordingID, _ console.Listener) (io.ReadSeekCloser, error) {
	if _, limited := ctx.Deadline(); limited {
		return nil, context.DeadlineExceeded
	}
	return nil, console.ErrConflict
}

type panicky struct{}

func (panicky) Queues(context.Context, call.CityID) ([]console.Queue, error) { panic("overboard") }

// A request's labels come from the table, whatever strangers send.
func TestMetricsHaveBoundedLabels(t *testing.T) {
	o := newOffice(t, nil)
	for _, target := range []string{"/a", "/b", "/c?d=e", "/api/v1/calls/cl_findable"} {
		o.ask(o.token("demo", console.RoleSupervisor), "GET", target, "")
		o.ask("", "BREW", target, "")
	}
	w := httptest.NewRecorder()
	o.AdminHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if n := strings.Count(w.Body.String(), "callhall_http_request_duration_seconds_count"); n != 3 ||
		strings.Contains(w.Body.String(), "findable") || strings.Contains(w.Body.String(), "BREW") {
		t.Errorf("%d series\n%s", n, w.Body)
	}
}

func TestConfigIsChecked(t *testing.T) {
	o := newOffice(t, nil)
	for name, change := range map[string]func(*console.Config, *console.Deps){
		"no log":      func(c *console.Config, _ *console.Deps) { c.Log = nil },
		"no registry": func(c *console.Config, _ *console.Deps) { c.Registry = nil },
		"no calls":    func(_ *console.Config, d *console.Deps) { d.Calls = nil },
		"no tokens":   func(_ *console.Config, d *console.Deps) { d.Tokens = nil },
	} {
		cfg, deps := o.cfg, o.deps
		cfg.Registry = prometheus.NewRegistry()
		change(&cfg, &deps)
		if _, err := console.New(cfg, deps); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A ledger that is frozen says so, and what to do; to try again soon would not help.
func TestFrozenLedgerSaysWhatToDo(t *testing.T) {
	o := newOffice(t, nil)
	o.behind.fail = fmt.Errorf("%w: %w", console.ErrFrozen, errInside)
	token := o.token("demo", console.RolePrivacy)
	for _, target := range []string{"/api/v1/ledger/checkpoint", "/api/v1/ledger/export", "/api/v1/ledger/entries/0/proof"} {
		p := o.problem(o.ask(token, "GET", target, ""), http.StatusServiceUnavailable)
		if p.Type != "/problems#frozen" || !strings.Contains(p.Detail, "ledger is frozen") || !strings.Contains(p.Detail, "callhall ledger succeed") {
			t.Errorf("%s: %+v", target, p)
		}
	}
}
