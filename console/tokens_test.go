package console_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callhall/console"
	"callhall/ledger"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestATokenIsKeptAsItsHash(t *testing.T) {
	o := newOffice(t, nil)
	secret := o.token("demo", console.RoleSupervisor)
	if !strings.HasPrefix(secret, "cht_") || len(secret) != 56 || secret == o.token("demo", console.RoleSupervisor) {
		t.Errorf("secret of %d letters", len(secret))
	}
	files, err := filepath.Glob(filepath.Join(o.dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), secret) || strings.Contains(string(data), secret[4:]) {
			t.Errorf("the secret stands in %s", name)
		}
	}
}

func TestTokensAreListedByCity(t *testing.T) {
	o := newOffice(t, nil)
	o.token("other", console.RoleSupervisor)
	want := console.Token{City: "demo", Name: "Ana María", Role: console.RoleAgent, Agent: "ana",
		Scope: []console.Permission{console.SeeSelf, console.SeeCalls}, ExpiresAt: o.now.Add(time.Hour)}
	_, issued, err := o.tokens.Issue(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.CreatedAt = issued.ID, o.now
	got, err := o.tokens.List(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]console.Token{want}, got); diff != "" {
		t.Error(diff)
	}
	if err := o.tokens.Revoke(t.Context(), "other", issued.ID); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("another city revokes: %v", err)
	}
	if err := o.tokens.Revoke(t.Context(), "demo", issued.ID); err != nil {
		t.Error(err)
	}
	if err := o.tokens.Revoke(t.Context(), "demo", issued.ID); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
}

func TestIssueChecks(t *testing.T) {
	o := newOffice(t, nil)
	good := console.Token{City: "demo", Name: "ana", Role: console.RoleSupervisor, ExpiresAt: o.now.Add(time.Hour)}
	for name, change := range map[string]func(*console.Token){
		"no city":          func(k *console.Token) { k.City = "" },
		"no name":          func(k *console.Token) { k.Name = "" },
		"number as name":   func(k *console.Token) { k.Name = "+12125550142" },
		"number in name":   func(k *console.Token) { k.Name = "ana 212-555-0142" },
		"line in name":     func(k *console.Token) { k.Name = "ana\nadmin" },
		"space at the end": func(k *console.Token) { k.Name = "ana " },
		"two spaces":       func(k *console.Token) { k.Name = "ana  gray" },
		"another spelling": func(k *console.Token) { k.Name = "e\u0300ve" },
		"a long name":      func(k *console.Token) { k.Name = strings.Repeat("a", 65) },
		"no role":          func(k *console.Token) { k.Role = "" },
		"unknown role":     func(k *console.Token) { k.Role = "admin" },
		"no agent":         func(k *console.Token) { k.Role = console.RoleAgent },
		"no end":           func(k *console.Token) { k.ExpiresAt = time.Time{} },
		"past end":         func(k *console.Token) { k.ExpiresAt = o.now },
		"far end":          func(k *console.Token) { k.ExpiresAt = o.now.Add(console.MaxTokenLife + time.Second) },
		"unknown scope":    func(k *console.Token) { k.Scope = []console.Permission{"everything"} },
		"public scope":     func(k *console.Token) { k.Scope = []console.Permission{"public"} },
	} {
		k := good
		change(&k)
		if secret, _, err := o.tokens.Issue(t.Context(), k); !errors.Is(err, console.ErrBadToken) || secret != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := o.tokens.Issue(t.Context(), good); err != nil {
		t.Error(err)
	}
}

// TestEveryActorCanStandInTheLedger: whoever got a token is refused nothing because of their name.
func TestEveryActorCanStandInTheLedger(t *testing.T) {
	o := newOffice(t, nil)
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.OneOf(rapid.StringMatching(`[\p{L}][\p{L}\p{Nd} ._@-]{0,63}`), rapid.StringMatching(`[a-z][0-9٠-٩ ._-]{0,16}`)).Draw(r, "name")
		_, k, err := o.tokens.Issue(t.Context(), console.Token{City: "demo", Name: name, Role: console.RoleSupervisor, ExpiresAt: o.now.Add(time.Hour)})
		if err == nil && !ledger.CanAct(k.Actor()) {
			r.Errorf("%s has a token and the ledger refuses them", k.Actor())
		}
	})
}
