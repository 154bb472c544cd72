package console_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callhall/call"
	"callhall/console"
)

// grant makes a token of name and returns it, without a server.
func (o *office) grant(city call.CityID, name string) (secret string, t console.Token) {
	o.t.Helper()
	secret, t, err := o.tokens.Issue(o.t.Context(), console.Token{City: city, Name: name, Role: console.RolePrivacy, ExpiresAt: o.now.Add(time.Hour)})
	if err != nil {
		o.t.Fatal(err)
	}
	return secret, t
}

// written is what the ledger of a city has about tokens: acts and ids.
func (b *behind) written(city call.CityID) (acts []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, leaf := range b.leaves {
		if b.cities[i] == city && leaf.Kind == console.KindToken {
			acts = append(acts, leaf.Facts["act"]+" "+leaf.Facts["token"])
		}
	}
	return acts
}

// TestWhatWasDoneWithoutAServerIsLedgeredInOrder: and once, and without the secret.
func TestWhatWasDoneWithoutAServerIsLedgeredInOrder(t *testing.T) {
	o := newOffice(t, nil)
	secret, first := o.grant("demo", "Rosa")
	_, second, err := o.tokens.Renew(t.Context(), console.Token{City: "demo", Name: "Rosa", Role: console.RoleAgent, Agent: "ana",
		Scope: []console.Permission{console.SeeSelf, console.SeeCalls}, ExpiresAt: o.now.Add(time.Hour)})
	if err = errors.Join(err, o.tokens.Revoke(t.Context(), "demo", first.ID)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := o.deps.Journal.Move(t.Context(), "demo"); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"grant " + first.ID, "renew " + second.ID, "revoke " + first.ID}
	if got := o.book.written("demo"); !slices.Equal(got, want) {
		t.Fatalf("the ledger has %v, want %v", got, want)
	}
	facts := o.book.leaves[1].Facts
	if facts["name"] != "Rosa" || facts["role"] != "agent" || facts["agent"] != "ana" || facts["scope"] != "me.read calls.read" || facts["expires"] == "" {
		t.Errorf("the renewal says %v", facts)
	}
	for _, leaf := range o.book.leaves {
		for name, value := range leaf.Facts {
			if strings.Contains(value, secret) {
				t.Errorf("fact %s has the secret", name)
			}
		}
	}
}

// TestATokenIsHonouredOnceItsGrantIsLedgered: at once on its first use; not at all while the ledger is away, where those
// whose grant is there hold on.
func TestATokenIsHonouredOnceItsGrantIsLedgered(t *testing.T) {
	o := newOffice(t, nil)
	old, first := o.grant("demo", "Rosa")
	if w := o.ask(old, "GET", "/api/v1/me", ""); w.Code != http.StatusOK || !slices.Equal(o.book.written("demo"), []string{"grant " + first.ID}) {
		t.Fatalf("first use: %d, %v", w.Code, o.book.written("demo"))
	}
	o.book.noLeaf = errInside
	fresh, second := o.grant("demo", "Noor")
	o.problem(o.ask(fresh, "GET", "/api/v1/me", ""), http.StatusServiceUnavailable)
	if w := o.ask(old, "GET", "/api/v1/me", ""); w.Code != http.StatusOK {
		t.Errorf("a token whose grant is ledgered: %d", w.Code)
	}
	o.book.noLeaf = nil
	if w := o.ask(fresh, "GET", "/api/v1/me", ""); w.Code != http.StatusOK || !slices.Contains(o.book.written("demo"), "grant "+second.ID) {
		t.Errorf("the ledger is back: %d, %v", w.Code, o.book.written("demo"))
	}
}

// unmarked is a store in whose process a crash comes between the leaf and its mark.
type unmarked struct {
	console.ActStore
	crash bool
}

func (u *unmarked) MarkAct(ctx context.Context, id string) error {
	if u.crash {
		return errInside
	}
	return u.ActStore.MarkAct(ctx, id)
}

func TestACrashBetweenLeafAndMarkWritesNoSecondLeaf(t *testing.T) {
	o := newOffice(t, nil)
	store := &unmarked{o.store, true}
	journal := console.NewJournal(store, o.book, slog.New(slog.DiscardHandler))
	_, first := o.grant("demo", "Rosa")
	_, second := o.grant("demo", "Noor")
	if err := journal.Settle(t.Context(), first); !errors.Is(err, console.ErrNotLedgered) {
		t.Errorf("a grant without its mark: %v", err)
	}
	store.crash = false
	if err := journal.Settle(t.Context(), second); err != nil {
		t.Error(err)
	}
	if got := o.book.written("demo"); !slices.Equal(got, []string{"grant " + first.ID, "grant " + second.ID}) {
		t.Errorf("the ledger has %v", got)
	}
}

// oneAway is a ledger of which one city's is away.
type oneAway struct {
	*behind
	city call.CityID
}

func (a oneAway) Append(ctx context.Context, city call.CityID, leaf call.Leaf) error {
	if city == a.city {
		return errInside
	}
	return a.behind.Append(ctx, city, leaf)
}

// TestEachCityHasItsOwnActs: one whose ledger is away holds up no other.
func TestEachCityHasItsOwnActs(t *testing.T) {
	o := newOffice(t, nil)
	journal := console.NewJournal(o.store, oneAway{o.book, "other"}, slog.New(slog.DiscardHandler))
	_, there := o.grant("other", "Ben")
	_, here := o.grant("demo", "Rosa")
	if journal.Settle(t.Context(), there) == nil {
		t.Error("the city whose ledger is away lets somebody in")
	}
	if err := journal.Settle(t.Context(), here); err != nil {
		t.Error(err)
	}
	if err := o.deps.Journal.Settle(t.Context(), there); err != nil {
		t.Error(err)
	}
	if demo, other := o.book.written("demo"), o.book.written("other"); !slices.Equal(demo, []string{"grant " + here.ID}) || !slices.Equal(other, []string{"grant " + there.ID}) {
		t.Errorf("the ledgers have %v and %v", demo, other)
	}
}

// slate is a journal in memory.
type slate struct {
	mu   sync.Mutex
	acts []console.Act
}

func (s *slate) write(acts ...console.Act) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts = acts
}

func (s *slate) WaitingActs(context.Context, call.CityID) ([]console.Act, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acts, nil
}

func (s *slate) TryAct(context.Context, string, string) error { return nil }
func (s *slate) MarkAct(context.Context, string) error        { s.write(); return nil }

func (s *slate) Ledgered(ctx context.Context, city string) (bool, error) {
	acts, err := s.WaitingActs(ctx, call.CityID(city))
	return len(acts) == 0, err
}

// TestARunningServerLedgersWithinASecond what a verb writes into its journal.
func TestARunningServerLedgersWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, book := &slate{}, &behind{}
		ctx, stop := context.WithCancel(t.Context())
		go console.NewJournal(s, book, slog.New(slog.DiscardHandler)).Run(ctx, "demo")
		synctest.Wait()
		s.write(console.Act{ID: "tka_a", Kind: console.ActGrant, Token: console.Token{ID: "tok_a", City: "demo", Name: "Rosa"}})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := book.written("demo"); !slices.Equal(got, []string{"grant tok_a"}) {
			t.Errorf("the ledger has %v", got)
		}
		stop()
		synctest.Wait()
	})
}

// TestThePrivacyOfficerSeesWhoHoldsTokens of their city, and no secret.
func TestThePrivacyOfficerSeesWhoHoldsTokens(t *testing.T) {
	o := newOffice(t, nil)
	secret, rosa := o.grant("demo", "Rosa")
	_, noor := o.grant("demo", "Noor")
	_, gone := o.grant("demo", "Gone")
	o.grant("other", "Ben")
	if err := o.tokens.Revoke(t.Context(), "demo", gone.ID); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for target := "/api/v1/tokens?limit=1"; target != ""; {
		w := o.ask(secret, "GET", target, "")
		if strings.Contains(w.Body.String(), "cht_") {
			t.Errorf("a secret: %s", w.Body)
		}
		page := into[struct {
			Data []struct{ ID, Name, Role string }
			Next string `json:"next_cursor"`
		}](t, w)
		for _, h := range page.Data {
			seen = append(seen, h.ID+" "+h.Name+" "+h.Role)
		}
		if target = ""; page.Next != "" {
			target = "/api/v1/tokens?limit=1&cursor=" + page.Next
		}
	}
	slices.Sort(seen)
	want := []string{rosa.ID + " Rosa privacy", noor.ID + " Noor privacy"}
	slices.Sort(want)
	if !slices.Equal(seen, want) {
		t.Errorf("%v hold tokens, want %v", seen, want)
	}
}
