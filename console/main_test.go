package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"callhall/ani"
	anisql "callhall/ani/sqlstore"
	"callhall/call"
	"callhall/cdr"
	"callhall/cdr/cdrtest"
	cdrstore "callhall/cdr/sqlstore"
	"callhall/console"
	"callhall/console/sqlstore"
	"callhall/sqldb"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ console.Calls = (*cdr.Service)(nil)

var errInside = errors.New("secret detail of the inside")

// now is the office's time: a Sunday in New York on which an hour is missing.
var now = time.Date(2026, 3, 8, 18, 0, 0, 0, time.UTC)

// office is a console over real call records and tokens, with made-up recordings, agents, queues and ledger.
type office struct {
	t      *testing.T
	dir    string
	log    *lockedLog
	now    time.Time
	calls  *cdr.Service
	tokens *console.Tokens
	behind *behind
	book   *behind // the ledger, as far as it is about tokens
	store  *sqlstore.Store
	vault  *ani.Vault
	heard  int // how much of the log was looked through
	deps   console.Deps
	cfg    console.Config
	*console.Console
}

// lockedLog is a log that several goroutines write.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newOffice opens an office; change may be nil.
func newOffice(t *testing.T, change func(*console.Config, *console.Deps)) *office {
	t.Helper()
	o := &office{t: t, dir: t.TempDir(), log: &lockedLog{}, now: now, behind: &behind{}, book: &behind{}}
	log := slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	sealed := openDB(t, filepath.Join(o.dir, "sealed.db"), sqldb.Durable)
	tokens, err := sqlstore.New(t.Context(), sealed)
	if err != nil {
		t.Fatal(err)
	}
	records, err := cdrstore.New(t.Context(), openDB(t, filepath.Join(o.dir, "records.db"), sqldb.Cached))
	if err != nil {
		t.Fatal(err)
	}
	o.calls, err = cdr.New(records, cdr.Config{Node: "node-a", Key: make([]byte, 32), QueuePath: filepath.Join(o.dir, "queue"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.calls.Shut() })
	clock := func() time.Time { return o.now }
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	o.store, o.tokens = tokens, console.NewTokens(tokens, clock)
	o.deps = console.Deps{Calls: o.calls, Recordings: o.behind, Agents: o.behind, Queues: o.behind, Ledger: o.behind, Tokens: o.tokens, Journal: console.NewJournal(tokens, o.book, log),
		Tiles: http.HandlerFunc(o.behind.tiles), Office: o.privacyOffice(sealed, log), Numbers: o.vault, Board: o.behind, Partners: partners}
	o.cfg = console.Config{Version: "test", Zones: map[call.CityID]*time.Location{"demo": newYork}, Burst: 1000, Log: log,
		Registry: prometheus.NewRegistry(), Now: clock}
	if change != nil {
		change(&o.cfg, &o.deps)
	}
	if o.Console, err = console.New(o.cfg, o.deps); err != nil {
		t.Fatal(err)
	}
	return o
}

// privacyOffice opens a real one, over the same file as the tokens.
func (o *office) privacyOffice(db *sqldb.DB, log *slog.Logger) *ani.Office {
	o.t.Helper()
	store, err := anisql.Open(o.t.Context(), db)
	if err != nil {
		o.t.Fatal(err)
	}
	o.vault, err = ani.NewVault(store, o.behind, ani.KeyDir(filepath.Join(o.dir, "keys")), ani.Config{Log: log, Now: func() time.Time { return o.now },
		Tariffs: map[call.CityID]bool{"demo": true}})
	if err != nil {
		o.t.Fatal(err)
	}
	privacy, err := ani.NewOffice(o.vault, ani.OfficeConfig{Calls: o.behind, Log: log})
	if err != nil {
		o.t.Fatal(err)
	}
	if err := privacy.Load(o.t.Context(), "demo", "other"); err != nil {
		o.t.Fatal(err)
	}
	return privacy
}

func openDB(t *testing.T, path string, d sqldb.Durability) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), path, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// token issues a token of city for role; agents are ana.
func (o *office) token(city call.CityID, role console.Role, scope ...console.Permission) string {
	o.t.Helper()
	t := console.Token{City: city, Name: "Test " + string(role), Role: role, Scope: scope, ExpiresAt: o.now.Add(time.Hour)}
	if role == console.RoleAgent {
		t.Agent = "ana"
	}
	secret, _, err := o.tokens.Issue(o.t.Context(), t)
	if err != nil {
		o.t.Fatal(err)
	}
	return secret
}

// of issues a token of city to somebody of that name; agents are called as their agent is.
func (o *office) of(city call.CityID, role console.Role, name string) string {
	o.t.Helper()
	t := console.Token{City: city, Name: name, Role: role, ExpiresAt: o.now.Add(48 * time.Hour)}
	if role == console.RoleAgent {
		t.Agent = call.AgentID(name)
	}
	secret, _, err := o.tokens.Issue(o.t.Context(), t)
	if err != nil {
		o.t.Fatal(err)
	}
	return secret
}

// number is the caller's in these tests, which must not come up where it was not released.
const number = "+12125550142"

// caller captures a call of city that agent has now.
func (o *office) caller(city call.CityID, agent call.AgentID) call.ID {
	o.t.Helper()
	r := cdrtest.Record(city, 0)
	r.ID, r.Agent, r.EndedAt = call.NewID(), agent, time.Time{}
	_, err := o.vault.Capture(o.t.Context(), ani.Incoming{City: city, Call: r.ID, Trust: ani.Trust{Identity: true},
		Headers: ani.Headers{Asserted: []string{"<sip:" + number + "@carrier.invalid>"}}})
	if err != nil {
		o.t.Fatal(err)
	}
	o.behind.set(r)
	return r.ID
}

// drop cuts a call off now.
func (o *office) drop(city call.CityID, id call.ID) {
	o.t.Helper()
	r, err := o.behind.Look(o.t.Context(), city, id)
	if err != nil {
		o.t.Fatal(err)
	}
	r.EndedAt, r.End = o.now, call.EndCallerLost
	o.behind.set(r)
	o.vault.Over(city, id)
	if err := o.calls.Close(o.t.Context(), r); err != nil {
		o.t.Fatal(err)
	}
}

// post asks, and wants this status.
func (o *office) post(token, target, body string, status int, headers ...string) string {
	o.t.Helper()
	w := o.ask(token, "POST", target, body, headers...)
	if w.Code != status {
		o.t.Errorf("POST %s: %d, want %d: %s", target, w.Code, status, w.Body)
	}
	return w.Body.String()
}

// field reads a field of a JSON answer.
func (o *office) field(answer, name string) string {
	o.t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(answer), &fields); err != nil {
		o.t.Fatalf("%v: %s", err, answer)
	}
	text, _ := fields[name].(string)
	return text
}

var spelled = regexp.MustCompile(`.{0,80}555\W*01.{0,20}`)

// silent checks that neither the log since the last time nor these texts have a number in any spelling: all of these tests end in 01 and two digits after 555.
func (o *office) silent(others ...string) {
	o.t.Helper()
	all := o.log.String()
	all, o.heard = all[o.heard:], len(all)
	for _, text := range append(others, all) {
		if found := spelled.FindString(text); found != "" {
			o.t.Errorf("a number comes up: %s", found)
		}
	}
}

// record keeps a call of the city that arrived before now by ago, last spoken to by agent.
func (o *office) record(city call.CityID, agent call.AgentID, ago time.Duration) call.Record {
	o.t.Helper()
	r := cdrtest.Record(city, 0)
	r.ArrivedAt, r.Agent = o.now.Add(-ago), agent
	if err := o.calls.Close(o.t.Context(), r); err != nil {
		o.t.Fatal(err)
	}
	return r
}

// ask makes a request with a token ("" for none) and headers in pairs.
func (o *office) ask(token, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	o.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body == "" {
		r.Body = http.NoBody
	}
	r.RemoteAddr = "127.0.0.1:4711"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	o.Handler().ServeHTTP(w, r)
	return w
}

// problem checks that an answer is a problem of that status, and returns it.
func (o *office) problem(w *httptest.ResponseRecorder, status int) console.Problem {
	o.t.Helper()
	var p console.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		o.t.Fatalf("status %d, not a problem: %v\n%s", w.Code, err, w.Body)
	}
	if w.Code != status || p.Status != status || w.Header().Get("Content-Type") != "application/problem+json" ||
		p.RequestID == "" || p.RequestID != w.Header().Get("X-Request-Id") || p.Title == "" || p.Detail == "" {
		o.t.Errorf("status %d, want %d; %s: %+v", w.Code, status, w.Header().Get("Content-Type"), p)
	}
	return p
}

// into decodes an answer that is well.
func into[T any](t *testing.T, w *httptest.ResponseRecorder) (body T) {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return body
}

// behind stands in for recordings, agents, queues, ledger and the calls that go on: of the city demo, and of no other.
type behind struct {
	fail   error // what everything answers, where set
	noLeaf error // what the ledger answers to a leaf, where set

	mu     sync.Mutex
	plays  []console.Listener
	states []console.StateChange
	closed int
	leaves []call.Leaf
	cities []call.CityID // of each leaf
	live   map[call.ID]call.Record
	orders []any // to the switchboard
}

func (b *behind) known(city call.CityID) error {
	if b.fail != nil {
		return b.fail
	}
	if city != "demo" {
		return console.ErrNotFound
	}
	return nil
}

func (b *behind) Recording(_ context.Context, city call.CityID, id call.RecordingID) (console.Recording, error) {
	return console.Recording{ID: id, State: "stored"}, b.known(city)
}

// sound is what every recording holds.
const sound = "RIFF....WAVEfmt and so on: forty-eight bytes here"

type playback struct {
	*strings.Reader
	b *behind
}

func (p playback) Close() error {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	p.b.closed++
	return nil
}

func (b *behind) Play(_ context.Context, city call.CityID, id call.RecordingID, l console.Listener) (io.ReadSeekCloser, error) {
	if err := b.known(city); err != nil {
		return nil, err
	}
	if id == "rec_erased" {
		return nil, console.ErrGone
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.plays = append(b.plays, l)
	return playback{strings.NewReader(sound), b}, nil
}

func (b *behind) Agents(_ context.Context, city call.CityID) ([]console.Agent, error) {
	return []console.Agent{{ID: "ana", State: "ready"}, {ID: "ben", State: "paused"}}, b.known(city)
}

func (b *behind) SetState(_ context.Context, city call.CityID, agent call.AgentID, change console.StateChange) (console.Agent, error) {
	if err := b.known(city); err != nil {
		return console.Agent{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.states = append(b.states, change)
	return console.Agent{ID: agent, State: change.State, Reason: change.Reason}, nil
}

func (b *behind) Queues(_ context.Context, city call.CityID) ([]console.Queue, error) {
	return []console.Queue{{ID: "general", Waiting: 2}}, b.known(city)
}

func (b *behind) List(_ context.Context, city call.CityID, cursor string, _ int) (console.LedgerPage, error) {
	if cursor == "bad" {
		return console.LedgerPage{}, console.ErrCursor
	}
	return console.LedgerPage{Entries: []console.LedgerEntry{{Kind: "ani.release/1"}}, Next: "more"}, b.known(city)
}

func (b *behind) Proof(_ context.Context, city call.CityID, index int64) ([]byte, error) {
	if index != 0 {
		return nil, console.ErrNotFound
	}
	return []byte(`{"index":0}`), b.known(city)
}

func (b *behind) Key(_ context.Context, city call.CityID) (string, error) {
	return "callhall/ledger/demo+00000000+AAAA", b.known(city)
}

func (b *behind) Checkpoint(_ context.Context, city call.CityID) ([]byte, error) {
	return []byte("callhall/ledger/demo\n1\nAAAA\n"), b.known(city)
}

func (b *behind) Export(_ context.Context, city call.CityID, w io.Writer) error {
	if err := b.known(city); err != nil {
		return err
	}
	_, err := io.WriteString(w, "{\"header\":true}\n")
	return err
}
