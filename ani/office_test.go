package ani_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callhall/ani"
	"callhall/call"
)

// The people of the tests. Dana holds two tokens.
var (
	ana       = ani.Person{Actor: "agent:ana", Role: ani.RoleAgent, Agent: "ana"}
	ben       = ani.Person{Actor: "agent:ben", Role: ani.RoleAgent, Agent: "ben"}
	dana      = ani.Person{Actor: "token:Dana/tok_a", Holder: "Dana", Role: ani.RolePrivacy}
	danaAgain = ani.Person{Actor: "token:Dana/tok_b", Holder: "dana", Role: ani.RolePrivacy}
	paul      = ani.Person{Actor: "token:Paul/tok_c", Holder: "Paul", Role: ani.RolePrivacy}
	rita      = ani.Person{Actor: "token:Rita/tok_d", Holder: "Rita", Role: ani.RoleRecords}
	sam       = ani.Person{Actor: "token:Sam/tok_e", Holder: "Sam", Role: ani.RoleSupervisor}
	sue       = ani.Person{Actor: "token:Sue/tok_f", Holder: "Sue", Role: ani.RoleSupervisor}
	omar      = ani.Person{Actor: "token:Omar/tok_g", Holder: "Omar", Role: ani.RoleOperator}
)

// engineCalls is what the engine knows of its calls.
type engineCalls struct {
	mu sync.Mutex
	of map[call.ID]ani.Handling
}

func (e *engineCalls) Handling(_ context.Context, _ call.CityID, id call.ID) (ani.Handling, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h, ok := e.of[id]
	if !ok {
		return ani.Handling{}, ani.ErrNotFound
	}
	return h, nil
}

// privacyOffice is an office on a real file, with a clock that the test sets.
type privacyOffice struct {
	*fixture
	*ani.Office
	calls *engineCalls
	log   *strings.Builder
	cfg   ani.OfficeConfig
}

func newPrivacyOffice(t testing.TB, cfg ani.OfficeConfig) *privacyOffice {
	t.Helper()
	p := &privacyOffice{fixture: newFixture(t), calls: &engineCalls{of: map[call.ID]ani.Handling{}}, log: &strings.Builder{}}
	cfg.Calls, cfg.Log, cfg.Registry = p.calls, slog.New(slog.NewTextHandler(p.log, nil)), p.reg
	p.cfg = cfg
	p.open(t)
	return p
}

func (p *privacyOffice) open(t testing.TB) {
	t.Helper()
	var err error
	if p.Office, err = ani.NewOffice(p.Vault, p.cfg); err != nil {
		t.Fatal(err)
	}
	if err := p.Load(t.Context(), city, other); err != nil {
		t.Fatal(err)
	}
}

// restart makes a new vault and a new office over the same file.
func (p *privacyOffice) restart(t *testing.T) {
	t.Helper()
	p.reg = prometheus.NewRegistry()
	p.cfg.Registry = p.reg
	p.Vault = p.newVault(t)
	p.open(t)
}

// wide gives a city the profile nyc-3.3, by two people.
func (p *privacyOffice) wide(t *testing.T) {
	t.Helper()
	e := ok(p.ProposeProfile(t.Context(), city, ani.ProfileNYC, "", dana))(t)
	ok(p.ApproveProfile(t.Context(), city, e.ID, paul))(t)
	p.book.take(city)
}

// caller captures a call that ana handles now.
func (p *privacyOffice) caller(t testing.TB, h ani.Headers) call.ID {
	t.Helper()
	id := p.capture(t, city, h)
	p.calls.of[id] = ani.Handling{Agents: []call.AgentID{"ana"}, Queue: "general", Trunk: "carrier-a", Live: true}
	p.book.take(city)
	return id
}

// drop cuts a call off now.
func (p *privacyOffice) drop(id call.ID) {
	h := p.calls.of[id]
	h.Live, h.Dropped, h.EndedAt = false, true, p.now
	p.calls.of[id] = h
}

func ok[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// fails wants an error.
func fails(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// entered is a number as somebody sends it.
func typed(t testing.TB, s string) (e ani.Entered) {
	t.Helper()
	if err := e.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return e
}

// hasNumber looks for the numbers of these tests, which all are 555 01XX; ids can have three fives too.
func hasNumber(text string) bool { return regexp.MustCompile(`555\W*01`).MatchString(text) }

// told wants a notice to the owner.
func (p *privacyOffice) told(t *testing.T, about ani.NoticeAbout, ref string) ani.Notice {
	t.Helper()
	all := ok(p.Notices(t.Context(), city, "", 99))(t)
	for _, n := range all {
		if n.About == about && n.Ref == ref {
			return n
		}
	}
	t.Fatalf("no notice about %s of %s; there are %+v", about, ref, all)
	return ani.Notice{}
}

// leaves takes the city's leaves of one kind, and wants no digits of a number in any leaf.
func (p *privacyOffice) leaves(t *testing.T, kind string) (of []call.Leaf) {
	t.Helper()
	for _, l := range p.book.take(city) {
		if hasNumber(fmt.Sprint(l)) {
			t.Errorf("a leaf has a number: %v", l)
		}
		if l.Kind == ani.KindRelease {
			if err := ani.CheckLeaf(l); err != nil {
				t.Errorf("the leaf %v does not decide again: %v", l.Facts, err)
			}
		}
		if l.Kind == kind {
			of = append(of, l)
		}
	}
	return of
}

// said wants one leaf with these facts.
func (p *privacyOffice) said(t *testing.T, kind string, want map[string]string) {
	t.Helper()
	all := p.leaves(t, kind)
	for _, l := range all {
		got := map[string]string{}
		for name := range want {
			got[name] = l.Facts[name]
		}
		if maps.Equal(got, want) {
			return
		}
	}
	t.Errorf("no leaf of %s says %v; there are %v", kind, want, all)
}

const evidence = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func (p *privacyOffice) written(t *testing.T, purposes ...ani.Purpose) ani.NewConsent {
	return ani.NewConsent{Kind: ani.ConsentWritten, Subscriber: "Ana Gray", Number: typed(t, "+1 212 555 0142"), Purposes: purposes,
		Recipients: []ani.Recipient{ani.RecipientPrivate, ani.RecipientGateway}, Parties: []string{"Gas Works"},
		Evidence: ani.Evidence{SHA256: evidence, Kept: "cabinet 4"}, From: p.now, Until: p.now.Add(1000 * time.Hour)}
}

// Until its registers are read, a city is decided for by the strictest.
func TestUnreadRegistersAreTheStrictest(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	if g := p.release(t, live(city, id)); g.Denied() {
		t.Fatalf("%+v", g)
	}
	p.restartUnread(t)
	if g := p.release(t, live(city, id)); !g.Denied() || g.Row.ID != "LAW" {
		t.Errorf("unread: %s %s", g.Decision, g.Row.ID)
	}
	if err := p.Load(t.Context(), city); err != nil {
		t.Fatal(err)
	}
	if g := p.release(t, live(city, id)); g.Denied() {
		t.Errorf("read again: %s %s", g.Decision, g.Row.ID)
	}
}

func (p *privacyOffice) restartUnread(t *testing.T) {
	t.Helper()
	p.reg = prometheus.NewRegistry()
	p.cfg.Registry = p.reg
	p.Vault = p.newVault(t)
	var err error
	if p.Office, err = ani.NewOffice(p.Vault, p.cfg); err != nil {
		t.Fatal(err)
	}
}

// A city may choose lower caps, and no higher ones.
func TestCapsOnlyNarrow(t *testing.T) {
	f := newFixture(t)
	for caps, good := range map[ani.Caps]bool{{}: true, {PerActor: 3}: true, {PerActor: 21}: false, {PerCity: 201}: false, {PerCity: -1}: false} {
		if _, err := ani.NewOffice(f.Vault, ani.OfficeConfig{Caps: map[call.CityID]ani.Caps{city: caps}}); (err == nil) != good {
			t.Errorf("%+v: %v", caps, err)
		}
	}
}
