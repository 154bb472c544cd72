package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"callhall/console"

	"github.com/google/go-cmp/cmp"
)

// expected says who may do what a second time, so that a slip in the table of roles is seen. A letter a role, in the
// order agent, supervisor, privacy, records, operator: y is 200, n is 403.
var expected = map[string]struct{ target, body, may string }{
	"GET /api/v1/me":                           {"/api/v1/me", "", "yyyyy"},
	"GET /api/v1/calls":                        {"/api/v1/calls", "", "yyyyn"},
	"GET /api/v1/calls/{id}":                   {"/api/v1/calls/CALL", "", "yyyyn"},
	"GET /api/v1/calls/export":                 {"/api/v1/calls/export", "", "nyyyn"},
	"GET /api/v1/recordings/{id}":              {"/api/v1/recordings/rec_x", "", "nyyyn"},
	"GET /api/v1/recordings/{id}/media":        {"/api/v1/recordings/rec_x/media?reason=complaint", "", "nyynn"},
	"GET /api/v1/agents":                       {"/api/v1/agents", "", "nynny"},
	"POST /api/v1/agents/{id}/state":           {"/api/v1/agents/ana/state", `{"state":"paused","reason":"lunch"}`, "yynnn"},
	"GET /api/v1/queues":                       {"/api/v1/queues", "", "nynny"},
	"GET /api/v1/ledger":                       {"/api/v1/ledger", "", "nnynn"},
	"GET /api/v1/ledger/checkpoint":            {"/api/v1/ledger/checkpoint", "", "nnynn"},
	"GET /api/v1/ledger/key":                   {"/api/v1/ledger/key", "", "nnynn"},
	"GET /api/v1/ledger/entries/{index}/proof": {"/api/v1/ledger/entries/0/proof", "", "nnynn"},
	"GET /api/v1/ledger/export":                {"/api/v1/ledger/export", "", "nnynn"},
}

// publics need no token.
var publics = []string{"GET /{$}", "GET /problems", "GET /openapi.json"}

func TestEveryRoleOnEveryRoute(t *testing.T) {
	o := newOffice(t, nil)
	id := string(o.record("demo", "ana", time.Hour).ID)
	for i, role := range console.Roles() {
		token := o.token("demo", role)
		for route, want := range expected {
			t.Run(string(role)+" "+route, func(t *testing.T) {
				method, _, _ := strings.Cut(route, " ")
				w := o.ask(token, method, strings.ReplaceAll(want.target, "CALL", id), want.body)
				if want.may[i] == 'n' {
					o.problem(w, http.StatusForbidden)
				} else if w.Code != http.StatusOK {
					t.Errorf("status %d: %s", w.Code, w.Body)
				}
			})
		}
	}
}

func TestEveryRouteIsExpected(t *testing.T) {
	o := newOffice(t, nil)
	want := slices.Clone(publics)
	for route := range expected {
		want = append(want, route)
	}
	got := console.Routes()
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of roles: %s", diff)
	}
	spec := into[struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}](t, o.ask("", "GET", "/openapi.json", ""))
	described := slices.Clone(publics)
	for path, methods := range spec.Paths {
		for method := range methods {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(described)
	if diff := cmp.Diff(want, described); diff != "" {
		t.Errorf("the description of the API: %s", diff)
	}
}

func TestPublicPagesNeedNoToken(t *testing.T) {
	o := newOffice(t, nil)
	for _, target := range []string{"/", "/problems", "/openapi.json"} {
		if w := o.ask("", "GET", target, ""); w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}

// A route that nobody put into the table is refused to everybody, token or not.
func TestARouteOutsideTheTableIsRefused(t *testing.T) {
	o := newOffice(t, nil)
	o.Handle("GET /api/v1/forgotten", func(http.ResponseWriter, *http.Request) { t.Error("it was served") })
	for _, role := range console.Roles() {
		o.problem(o.ask(o.token("demo", role), "GET", "/api/v1/forgotten", ""), http.StatusForbidden)
	}
	o.problem(o.ask("", "GET", "/api/v1/forgotten", ""), http.StatusForbidden)
}

func TestOnlyAHoldingTokenLetsIn(t *testing.T) {
	o := newOffice(t, nil)
	token := o.token("demo", console.RoleSupervisor)
	revoked := o.token("demo", console.RoleSupervisor)
	all, err := o.tokens.List(t.Context(), "demo")
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, k := range all {
		if secretOf(t, o, revoked) == k.ID {
			if err := o.tokens.Revoke(t.Context(), "demo", k.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	for route, want := range expected {
		method, _, _ := strings.Cut(route, " ")
		for name, headers := range map[string][]string{
			"no token": nil, "empty": {"Authorization", ""}, "basic": {"Authorization", "Basic " + token},
			"unknown": {"Authorization", "Bearer cht_" + strings.Repeat("a", 52)}, "bare": {"Authorization", token},
			"cut": {"Authorization", "Bearer " + token[:20]}, "revoked": {"Authorization", "Bearer " + revoked},
			"in a cookie": {"Cookie", "token=" + token}} {
			w := o.ask("", method, want.target, want.body, headers...)
			if p := o.problem(w, http.StatusUnauthorized); !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s %s: %+v", route, name, p)
			}
		}
	}
	o.problem(o.ask("", "GET", "/api/v1/me?access_token="+token, ""), http.StatusUnauthorized)
	if w := o.ask(token, "GET", "/api/v1/me", ""); w.Code != http.StatusOK {
		t.Fatalf("a good token: %d", w.Code)
	}
	o.now = o.now.Add(time.Hour) // the end itself is past the end
	o.problem(o.ask(token, "GET", "/api/v1/me", ""), http.StatusUnauthorized)
}

// secretOf finds the id of the token with that secret.
func secretOf(t *testing.T, o *office, secret string) string {
	t.Helper()
	k, err := o.tokens.Find(t.Context(), secret)
	if err != nil {
		return ""
	}
	return k.ID
}

// A token of another city sees nothing of this one, whatever its role.
func TestAnotherCitySeesNothing(t *testing.T) {
	o := newOffice(t, nil)
	id := string(o.record("demo", "ana", time.Hour).ID)
	for i, role := range console.Roles() {
		token := o.token("other", role)
		for route, want := range expected {
			if want.may[i] == 'n' || !strings.Contains(route, "{id}") && !strings.Contains(route, "ledger") {
				continue
			}
			method, _, _ := strings.Cut(route, " ")
			w := o.ask(token, method, strings.ReplaceAll(want.target, "CALL", id), want.body)
			if w.Code != http.StatusNotFound {
				t.Errorf("%s %s: %d %s", role, route, w.Code, w.Body)
			}
		}
		if i < 4 {
			if w := o.ask(token, "GET", "/api/v1/calls", ""); strings.Contains(w.Body.String(), id) || w.Code != http.StatusOK {
				t.Errorf("%s lists %s", role, w.Body)
			}
		}
		o.problem(o.ask(token, "GET", "/api/v1/me?city=demo", ""), http.StatusUnprocessableEntity)
	}
}

// A scope narrows a role and never widens it.
func TestAScopeNarrows(t *testing.T) {
	o := newOffice(t, nil)
	id := string(o.record("demo", "ana", time.Hour).ID)
	token := o.token("demo", console.RoleSupervisor, console.SeeQueues, console.SeeLedger)
	for route, want := range expected {
		method, _, _ := strings.Cut(route, " ")
		status := http.StatusForbidden
		if route == "GET /api/v1/queues" {
			status = http.StatusOK
		}
		if w := o.ask(token, method, strings.ReplaceAll(want.target, "CALL", id), want.body); w.Code != status {
			t.Errorf("%s: %d, want %d", route, w.Code, status)
		}
	}
}

func TestMeSaysWhatATokenMayDo(t *testing.T) {
	o := newOffice(t, nil)
	type me struct {
		Name, City, Role, Agent string
		Permissions             []string
		State                   *console.Agent
	}
	got := into[me](t, o.ask(o.token("demo", console.RoleAgent), "GET", "/api/v1/me", ""))
	want := me{"Test agent", "demo", "agent", "ana", []string{"me.read", "calls.read", "agents.write"}, &console.Agent{ID: "ana", State: "ready"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := into[me](t, o.ask(o.token("demo", console.RoleOperator), "GET", "/api/v1/me", "")); fmt.Sprint(got.Permissions) != "[me.read agents.read queues.read]" {
		t.Errorf("operator: %v", got.Permissions)
	}
}
