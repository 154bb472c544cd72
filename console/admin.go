package console

import (
	"context"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one thing that must be well before this node takes calls.
type Check struct {
	Name  string                          // "sip", "records": a constant word
	Check func(ctx context.Context) error // must return soon after ctx ends
}

// checkTime is how long one check may take: an orchestrator asks every few seconds.
const checkTime = 2 * time.Second

// AdminHandler answers the operator's machines: health, metrics and, where they are wanted, profiles. It asks for no token, so it belongs on a
// listener of its own that only they reach.
func (c *Console) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", c.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.cfg.Registry, promhttp.HandlerOpts{}))
	if c.cfg.Profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// ready answers 200 when every check passes and 503 otherwise; with ?verbose it says how each one went.
func (c *Console) ready(w http.ResponseWriter, r *http.Request) {
	faults := c.runChecks(r.Context())
	var text strings.Builder
	status := http.StatusOK
	for i, check := range c.deps.Checks {
		if faults[i] == nil {
			fmt.Fprintf(&text, "[+] %s ok\n", check.Name)
			continue
		}
		status = http.StatusServiceUnavailable
		fmt.Fprintf(&text, "[-] %s: %v\n", check.Name, faults[i])
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if r.URL.Query().Has("verbose") {
		fmt.Fprint(w, text.String())
	}
	fmt.Fprintln(w, map[int]string{http.StatusOK: "ready", http.StatusServiceUnavailable: "not ready"}[status])
}

// runChecks runs all checks at once and returns what each said, in order.
func (c *Console) runChecks(ctx context.Context) []error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	faults := make([]error, len(c.deps.Checks))
	var checks sync.WaitGroup
	for i, check := range c.deps.Checks {
		checks.Go(func() { faults[i] = check.Check(ctx) })
	}
	checks.Wait()
	return faults
}
