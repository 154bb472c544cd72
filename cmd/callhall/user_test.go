package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"callhall/console"
	"callhall/console/sqlstore"
	"callhall/sqldb"
)

// found asks the data directory whom a secret lets in.
func found(t *testing.T, secret string) (console.Token, error) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "callhall-data/sealed.db", sqldb.Durable)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store, err := sqlstore.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return console.NewTokens(store, nil).Find(t.Context(), strings.TrimSpace(secret))
}

func TestUser(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, errs, code := verb(t, "user", "list"); code != exitFailed || !strings.Contains(errs, "start callhall serve once") {
		t.Errorf("no data directory: exit %d, %s", code, errs)
	}
	if err := os.Mkdir("callhall-data", 0o700); err != nil {
		t.Fatal(err)
	}
	first, errs, code := verb(t, "user", "add", "rosa", "--role", "supervisor", "--scope", "calls.read")
	if code != 0 {
		t.Fatalf("add: exit %d, %s", code, errs)
	}
	token, err := found(t, first)
	if err != nil || token.Name != "rosa" || token.Role != console.RoleSupervisor || token.City != "demo" || len(token.Scope) != 1 {
		t.Errorf("the token lets in %+v, %v", token, err)
	}
	if _, errs, code := verb(t, "user", "add", "rosa", "--role", "supervisor"); code != exitFailed || !strings.Contains(errs, "user token rosa") {
		t.Errorf("a second add: exit %d, %s", code, errs)
	}
	second, errs, code := verb(t, "user", "token", "rosa", "-o", "rosa.token")
	if code != 0 || second != "" {
		t.Errorf("token: exit %d, %q, %s", code, second, errs)
	}
	if err := SecretFile("rosa.token").Check(); err != nil {
		t.Error(err)
	}
	renewed, err := SecretFile("rosa.token").Read()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := found(t, first); err == nil {
		t.Error("the first token holds on beside the second")
	}
	if token, err = found(t, renewed); err != nil || token.Role != console.RoleSupervisor || len(token.Scope) != 1 {
		t.Errorf("the second token lets in %+v, %v", token, err)
	}
	if _, errs, code := verb(t, "user", "token", "rosa", "-o", "rosa.token"); code != exitFailed || !strings.Contains(errs, "revoked again") {
		t.Errorf("a token that cannot be handed over: exit %d, %s", code, errs)
	}
	out, _, _ := verb(t, "user", "list", "--all", "--json")
	var listed []tokenLine
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed) != 3 || listed[0].State != "revoked" || listed[1].State != "holds" || listed[2].State != "revoked" {
		t.Errorf("list: %v, %s", err, out)
	}
	if strings.Contains(out, strings.TrimSpace(first)) || strings.Contains(out, renewed) {
		t.Error("the list shows a secret")
	}
	if _, errs, code := verb(t, "user", "revoke", "rosa"); code != 0 || !strings.Contains(errs, "revoked 1 token of rosa") {
		t.Errorf("revoke: exit %d, %s", code, errs)
	}
	if _, err := found(t, renewed); err == nil {
		t.Error("a revoked token holds on")
	}
	if out, _, _ := verb(t, "user", "list"); strings.Contains(out, "rosa") {
		t.Errorf("a revoked user is listed:\n%s", out)
	}
}

func TestUserRefusals(t *testing.T) {
	name := inScratch(t, "testdata/good/full.yaml")
	if err := os.Mkdir("data", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args  []string
		code  int
		error string
	}{
		{[]string{"add", "rosa", "--role", "supervisor"}, exitUsage, "--city: which one? springfield, shelbyville"},
		{[]string{"add", "rosa", "--role", "supervisor", "--city", "springfeld"}, exitUsage, `did you mean "springfield"?`},
		{[]string{"add", "rosa", "--role", "boss", "--city", "springfield"}, exitUsage, "--role"},
		{[]string{"add", "rosa", "--role", "agent", "--city", "springfield"}, exitFailed, "needs an agent id"},
		{[]string{"add", "rosa", "--role", "agent", "--agent", "2001", "--city", "springfield"}, exitUsage, `no agent "2001" in springfield`},
		{[]string{"add", "rosa", "--role", "privacy", "--city", "springfield", "--expires", "500d"}, exitFailed, "within 366 days"},
		{[]string{"add", "rosa", "--role", "privacy", "--city", "springfield", "--expires", "soon"}, exitUsage, "not a length of time"},
		{[]string{"add", "rosa", "--role", "privacy", "--city", "springfield", "--scope", "everything"}, exitFailed, "unknown permission"},
		{[]string{"token", "rosa", "--city", "springfield"}, exitFailed, "user add rosa"},
		{[]string{"revoke", "rosa", "--city", "springfield"}, exitFailed, "no token"},
	} {
		_, errs, code := verb(t, append([]string{"--config", name, "user"}, test.args...)...)
		if code != test.code || !strings.Contains(errs, test.error) {
			t.Errorf("user %q: exit %d, want %d; standard error (want %q): %s", test.args, code, test.code, test.error, errs)
		}
	}
	write(t, "bad.yaml", "cities: []\n", 0o600)
	if out, _, code := verb(t, "--config", "bad.yaml", "user", "list"); code != exitBadConfig || !strings.Contains(out, "cities: is missing") {
		t.Errorf("bad configuration: exit %d, %s", code, out)
	}
}
