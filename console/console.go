// Package console is the second edge: the HTTP API over which people and programs of a city see its calls, and the
// page that says where it is. Every request goes through one gate (gate.go), which asks one table (roles.go) whether
// this token may do this; a token belongs to one city, and the API takes the city from nowhere else. A number that is
// sent is sealed while it is read (ani.Entered); one that is answered comes out of the privacy office (office.go and what
// stands on it), once, to whom it was released. The admin listener, for the operator's machines alone, has health,
// metrics and profiles.
package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// Config is how a Console behaves.
type Config struct {
	Version        string                         // of the program, for the API's description
	Zones          map[call.CityID]*time.Location // what "today" is in a city; UTC where there is none
	Rate           float64                        // requests a second that one token may make for long; 0 is 10
	Burst          int                            // and at once; 0 is 40
	RequestTimeout time.Duration                  // for a request that does not stream; 0 is 20 s
	StallTimeout   time.Duration                  // how long a reader may take nothing; 0 is 30 s
	ShutdownTime   time.Duration                  // what requests get to finish in; 0 is 10 s
	Profiles       bool                           // the admin listener has profiles too, which show much and cost time
	Log            *slog.Logger                   // required
	Registry       *prometheus.Registry           // for /metrics and the console's own figures; required
	Now            func() time.Time               // nil is time.Now
}

// Deps is what a Console speaks for. All but Partners and Checks are required.
type Deps struct {
	Calls      Calls
	Recordings Recordings
	Agents     Agents
	Queues     Queues
	Ledger     Ledger
	Tiles      http.Handler // what strangers may see of the ledgers, under /ledger/: ledger.Public
	Office     *ani.Office  // loaded
	Numbers    Numbers
	Board      Board
	Partners   func(call.CityID) []call.Partner // whom calls may be carried on to; nil: nobody
	Tokens     *Tokens
	Journal    *Journal // of the acts on the same tokens
	Checks     []Check  // for /readyz
}

// Console answers HTTP. It keeps nothing of its own but what its tokens have used of their rates.
type Console struct {
	cfg     Config
	deps    Deps
	mux     *http.ServeMux
	handler http.Handler
	spec    []byte // OpenAPI, made once
	front   []byte
	seconds *prometheus.HistogramVec

	mu     sync.Mutex
	limits map[string]*rate.Limiter // by token id
}

// New makes a console. Errors: what the configuration lacks.
func New(cfg Config, deps Deps) (*Console, error) {
	if cfg.Log == nil || cfg.Registry == nil {
		return nil, errors.New("console: a log and a registry are needed")
	}
	if !deps.complete() {
		return nil, errors.New("console: something to speak for is missing")
	}
	c := &Console{cfg: cfg.withDefaults(), deps: deps, mux: http.NewServeMux(), limits: map[string]*rate.Limiter{}}
	c.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "callhall_http_request_duration_seconds",
		Help: "Time to answer HTTP requests, by route."}, []string{"route", "method", "code"})
	if err := cfg.Registry.Register(c.seconds); err != nil {
		return nil, fmt.Errorf("console: metrics: %w", err)
	}
	if err := c.routes(); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	c.handler = c.gate()
	return c, nil
}

// complete tells whether everything that is required is there.
func (d Deps) complete() bool {
	return d.Calls != nil && d.Recordings != nil && d.Agents != nil && d.Queues != nil && d.Ledger != nil && d.Tiles != nil && d.Office != nil &&
		d.Numbers != nil && d.Board != nil && d.Tokens != nil && d.Journal != nil
}

// withDefaults fills in what is zero.
func (cfg Config) withDefaults() Config {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rate == 0 {
		cfg.Rate = 10
	}
	if cfg.Burst == 0 {
		cfg.Burst = 40
	}
	for _, d := range []struct {
		field   *time.Duration
		instead time.Duration
	}{{&cfg.RequestTimeout, 20 * time.Second}, {&cfg.StallTimeout, 30 * time.Second}, {&cfg.ShutdownTime, 10 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.instead
		}
	}
	return cfg
}

// Handler answers everything but what the admin listener answers.
func (c *Console) Handler() http.Handler { return c.handler }

// zone is where the city's days begin and end.
func (c *Console) zone(city call.CityID) *time.Location {
	if z := c.cfg.Zones[city]; z != nil {
		return z
	}
	return time.UTC
}

// routes puts every route into the mux, and describes those of the API.
func (c *Console) routes() (err error) {
	api := humago.New(c.mux, c.apiConfig())
	c.callRoutes(api)
	c.recordingRoutes(api)
	c.peopleRoutes(api)
	c.holderRoutes(api)
	c.ledgerRoutes(api)
	c.officeRoutes(api)
	describeProblems(api)
	if c.spec, err = json.Marshal(api.OpenAPI()); err != nil {
		return fmt.Errorf("describe the API: %w", err)
	}
	if c.front, err = frontPage(); err != nil {
		return fmt.Errorf("front page: %w", err)
	}
	c.mux.HandleFunc("GET /openapi.json", c.fixed("application/openapi+json", c.spec))
	c.mux.HandleFunc("GET /{$}", c.fixed("text/html; charset=utf-8", c.front))
	c.mux.HandleFunc("GET /problems", c.fixed("text/html; charset=utf-8", problemsPage))
	return nil
}

// officeRoutes puts everything about callers' numbers into the API, and what is done with a call of theirs.
func (c *Console) officeRoutes(api huma.API) {
	c.releaseRoutes(api)
	c.searchRoutes(api)
	c.keyRoutes(api)
	c.consentRoutes(api)
	c.paperRoutes(api)
	c.screeningRoutes(api)
	c.policyRoutes(api)
	c.accountRoutes(api)
	c.noticeRoutes(api)
	c.billingRoutes(api)
	c.transferRoutes(api)
	c.handleRoutes(api)
}

// apiConfig is huma without its documentation page, which loads scripts from elsewhere, and without its schema links.
func (c *Console) apiConfig() huma.Config {
	cfg := huma.DefaultConfig("Callhall", c.cfg.Version)
	cfg.DocsPath, cfg.OpenAPIPath, cfg.SchemasPath = "", "", ""
	cfg.CreateHooks = nil
	cfg.RejectUnknownQueryParameters = true // a misspelt filter must not list everything
	cfg.Transformers = []huma.Transformer{c.explain}
	cfg.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer",
		Description: "A token of one city and one role, as callhall user add prints it."}}
	cfg.Security = []map[string][]string{{"token": {}}}
	return cfg
}

// schemaName keeps words apart that mean one thing of a call and another of its caller's number, as Notice does.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.PkgPath() == reflect.TypeFor[ani.Notice]().PkgPath() {
		return "Ani" + name
	}
	return name
}

// maxBody bounds the body of a request, in bytes. None here needs more than a few words.
const maxBody = 16 << 10

// operation is a route of the API, as huma wants it told.
func operation(method, path, summary string) huma.Operation {
	words := strings.FieldsFunc(strings.ToLower(method)+path, func(r rune) bool { return r == '/' || r == '{' || r == '}' })
	return huma.Operation{OperationID: strings.Join(words, "-"), Method: method, Path: "/api/v1" + path, Summary: summary,
		MaxBodyBytes: maxBody}
}

// answering says of what content types the answer of op is, where huma cannot know.
func answering(op huma.Operation, description string, types ...string) huma.Operation {
	content := map[string]*huma.MediaType{}
	for _, t := range types {
		content[t] = &huma.MediaType{}
	}
	op.Responses = map[string]*huma.Response{"200": {Description: description, Content: content}}
	return op
}

// fixed answers with a page that never changes while the program runs.
func (c *Console) fixed(contentType string, page []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Write(page) // a reader who is gone needs no page
	}
}
