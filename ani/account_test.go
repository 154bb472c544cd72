package ani

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callhall/call"
)

// withoutDisclosures is a store that takes no line of an accounting.
type withoutDisclosures struct {
	Store
	away error
}

func (s *withoutDisclosures) Add(ctx context.Context, e Entry) error {
	if s.away != nil && e.Kind == registerDisclosures {
		return s.away
	}
	return s.Store.Add(ctx, e)
}

// No value without its line in the accounting. A hand-over to 911 alone does not wait for it; its line comes when the
// register is back.
func TestReleaseWithoutItsAccountIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInside(t, nil)
		store := &withoutDisclosures{Store: f.mem}
		f.Vault.store = store
		o, err := NewOffice(f.Vault, OfficeConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Load(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		id := call.NewID()
		if _, err := f.Capture(t.Context(), Incoming{City: "a", Call: id, Trust: Trust{Identity: true},
			Headers: Headers{Asserted: []string{"<sip:+12125550142@carrier.invalid>"}}}); err != nil {
			t.Fatal(err)
		}
		mask := Request{City: "a", Call: id, Purpose: PurposeLiveCall, Recipient: RecipientAgent, Relation: RelationHandling, Actor: "agent:ana"}
		psap := Request{City: "a", Call: id, Purpose: PurposeEmergency, Recipient: RecipientPSAP, Actor: "agent:ana"}
		store.away = errors.New("away")
		if g, err := f.Release(t.Context(), mask); !errors.Is(err, store.away) || !g.Denied() || g.Value.Reveal() != "" {
			t.Errorf("mask: %+v, %v", g, err)
		}
		g, err := f.Release(t.Context(), psap)
		if err != nil || g.Value.Reveal() != "+12125550142" {
			t.Errorf("911: %+v, %v", g, err)
		}
		f.urgent.Wait()
		store.away = nil
		ctx, cancel := context.WithCancel(t.Context())
		go o.Run(ctx, "a")
		time.Sleep(2 * housekeeping)
		cancel()
		synctest.Wait()
		made, err := o.disclosures.of(t.Context(), "a", id)
		if err != nil || len(made) != 1 || made[0].Body.Release != g.Release || made[0].Body.Row != "D25" {
			t.Errorf("disclosures %+v, %v", made, err)
		}
	})
}

// Another node's entries are taken up within seconds.
func TestRunTakesUpWhatOtherNodesEnter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInside(t, nil)
		here, err := NewOffice(f.Vault, OfficeConfig{})
		if err != nil {
			t.Fatal(err)
		}
		f.open(t, nil)
		there, err := NewOffice(f.Vault, OfficeConfig{})
		if err != nil {
			t.Fatal(err)
		}
		var number Entered
		if err := errors.Join(here.Load(t.Context(), "a"), number.UnmarshalText([]byte("+12125550142"))); err != nil {
			t.Fatal(err)
		}
		dana := Person{Actor: "token:dana", Role: RolePrivacy}
		_, err = there.Protect(t.Context(), "a", NewProtection{Number: number, Ground: GroundSeal, Reference: "order 42", Until: f.now.Add(day)}, dana)
		if err != nil || here.desk.protects("a", number.Number(), f.now) {
			t.Fatalf("it cannot be known here yet; %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go here.Run(ctx, "a")
		time.Sleep(2 * housekeeping)
		cancel()
		synctest.Wait()
		if !here.desk.protects("a", number.Number(), f.now) {
			t.Error("not known after two rounds")
		}
	})
}

// slowReader holds the first reading of the protected subjects until another one is entered: what it has read is old then.
type slowReader struct {
	Store
	added chan struct{}
	once  sync.Once
}

func (s *slowReader) Add(ctx context.Context, e Entry) error {
	err := s.Store.Add(ctx, e)
	if e.Kind == registerProtections {
		s.added <- struct{}{}
	}
	return err
}

func (s *slowReader) Entries(ctx context.Context, city call.CityID, kind Kind, before string, limit int) ([]Entry, error) {
	all, err := s.Store.Entries(ctx, city, kind, before, limit)
	if kind == registerProtections {
		s.once.Do(func() { <-s.added; <-s.added })
	}
	return all, err
}

// Of two who are protected at once both are, however slowly the register is read.
func TestProtectionsAtOnce(t *testing.T) {
	for range 40 {
		f := newInside(t, nil)
		store := &slowReader{Store: f.mem, added: make(chan struct{}, 2)}
		o, err := NewOffice(f.Vault, OfficeConfig{})
		if err != nil {
			t.Fatal(err)
		}
		f.Vault.store = store
		dana := Person{Actor: "token:dana", Role: RolePrivacy}
		var numbers [2]Entered
		var all sync.WaitGroup
		for i, text := range []string{"+12125550142", "+12125550143"} {
			if err := numbers[i].UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				p := NewProtection{Number: numbers[i], Ground: GroundSeal, Reference: "order 42", Until: f.now.Add(day)}
				if _, err := o.Protect(t.Context(), "a", p, dana); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, n := range numbers {
			if !o.desk.protects("a", n.Number(), f.now) {
				t.Fatal("one who was entered is not protected")
			}
		}
	}
}
