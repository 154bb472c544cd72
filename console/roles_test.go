package console_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"callhall/console"

	"github.com/google/go-cmp/cmp"
)

// expectation is what a route answers. A letter a role, in the order agent, supervisor, privacy, records, operator: y is
// status, n is 403. What a route with {id} names here is not there, but for CALL, so a y is a 404 with most of them.
type expectation struct {
	target, body, may string
	status            int // 0 is 200
}

func (e expectation) want(role int) int {
	switch {
	case e.may[role] == 'n':
		return http.StatusForbidden
	case e.status == 0:
		return http.StatusOK
	default:
		return e.status
	}
}

// nowhere is an id of the right form that nothing has.
const nowhere = "_aaaaaaaaaaaaaaaaaaaaaaaaaa"

// expected says who may do what a second time, so that a slip in the table of roles is seen.
var expected = map[string]expectation{
	"GET /api/v1/me":                           {"/api/v1/me", "", "yyyyy", 0},
	"GET /api/v1/calls":                        {"/api/v1/calls", "", "yyyyn", 0},
	"GET /api/v1/calls/{id}":                   {"/api/v1/calls/CALL", "", "yyyyn", 0},
	"GET /api/v1/calls/export":                 {"/api/v1/calls/export", "", "nyyyn", 0},
	"GET /api/v1/recordings/{id}":              {"/api/v1/recordings/rec_x", "", "nyyyn", 0},
	"GET /api/v1/recordings/{id}/media":        {"/api/v1/recordings/rec_x/media?reason=complaint", "", "nyynn", 0},
	"GET /api/v1/agents":                       {"/api/v1/agents", "", "nynny", 0},
	"POST /api/v1/agents/{id}/state":           {"/api/v1/agents/ana/state", `{"state":"paused","reason":"lunch"}`, "yynnn", 0},
	"GET /api/v1/queues":                       {"/api/v1/queues", "", "nynny", 0},
	"GET /api/v1/tokens":                       {"/api/v1/tokens", "", "nnynn", 0},
	"GET /api/v1/ledger":                       {"/api/v1/ledger", "", "nnynn", 0},
	"GET /api/v1/ledger/checkpoint":            {"/api/v1/ledger/checkpoint", "", "nnynn", 0},
	"GET /api/v1/ledger/key":                   {"/api/v1/ledger/key", "", "nnynn", 0},
	"GET /api/v1/ledger/entries/{index}/proof": {"/api/v1/ledger/entries/0/proof", "", "nnynn", 0},
	"GET /api/v1/ledger/export":                {"/api/v1/ledger/export", "", "nnynn", 0},
	"GET /api/v1/ledger/consistency":           {"/api/v1/ledger/consistency?from=1&to=7", "", "nnynn", 0},
	"POST /api/v1/ledger/keys/rotate":          {"/api/v1/ledger/keys/rotate", "", "nnynn", 0},
	"POST /api/v1/ledger/succeed":              {"/api/v1/ledger/succeed", `{"reason":"disk replaced"}`, "nnynn", 0},

	"POST /api/v1/ani-keys/rotate":                {"/api/v1/ani-keys/rotate", "", "nnynn", 204},
	"POST /api/v1/ani-keys/drop":                  {"/api/v1/ani-keys/drop", "", "nnynn", 0},
	"POST /api/v1/calls/{id}/ani-releases":        {"/api/v1/calls/CALL/ani-releases", `{"purpose":"routing","recipient":"ENG"}`, "yyyyy", 201},
	"GET /api/v1/ani-releases":                    {"/api/v1/ani-releases", "", "yyyyy", 0},
	"GET /api/v1/ani-releases/{id}":               {"/api/v1/ani-releases/rel" + nowhere, "", "yyyyy", 404},
	"POST /api/v1/ani-releases/{id}/approve":      {"/api/v1/ani-releases/rel" + nowhere + "/approve", "", "nyyyn", 404},
	"POST /api/v1/ani-releases/{id}/refuse":       {"/api/v1/ani-releases/rel" + nowhere + "/refuse", "", "nyyyn", 404},
	"POST /api/v1/ani-releases/{id}/reveal":       {"/api/v1/ani-releases/rel" + nowhere + "/reveal", "", "yyyyy", 404},
	"POST /api/v1/calls/search-by-number":         {"/api/v1/calls/search-by-number", `{"number":"+1 212 555 0142","purpose":"exigency","case":"C-17"}`, "nyynn", 0},
	"POST /api/v1/consents":                       {"/api/v1/consents", consentBody, "nnynn", 201},
	"GET /api/v1/consents":                        {"/api/v1/consents", "", "nnynn", 0},
	"GET /api/v1/consents/{id}":                   {"/api/v1/consents/cns" + nowhere, "", "nnynn", 404},
	"POST /api/v1/consents/{id}/withdraw":         {"/api/v1/consents/cns" + nowhere + "/withdraw", "", "ynynn", 404},
	"POST /api/v1/calls/{id}/spoken-consent":      {"/api/v1/calls/cl" + nowhere + "/spoken-consent", `{"purposes":["completion-dropped"],"recipients":["AGT"]}`, "ynnnn", 403},
	"POST /api/v1/processes":                      {"/api/v1/processes", paperBody, "nyyyy", 201},
	"GET /api/v1/processes":                       {"/api/v1/processes", "", "nyyyn", 0},
	"GET /api/v1/processes/{id}":                  {"/api/v1/processes/prc" + nowhere, "", "nyyyn", 404},
	"POST /api/v1/processes/{id}/verify":          {"/api/v1/processes/prc" + nowhere + "/verify", "", "nnyyn", 404},
	"POST /api/v1/processes/{id}/close":           {"/api/v1/processes/prc" + nowhere + "/close", "", "nyyyn", 404},
	"GET /api/v1/processes/{id}/paper":            {"/api/v1/processes/prc" + nowhere + "/paper", "", "nnyyn", 404},
	"POST /api/v1/screening":                      {"/api/v1/screening", `{"call":"cl` + nowhere + `","reason":"spam","until":"2026-03-20T00:00:00Z"}`, "nyynn", 404},
	"GET /api/v1/screening":                       {"/api/v1/screening", "", "nyynn", 0},
	"POST /api/v1/screening/{id}/confirm":         {"/api/v1/screening/scr" + nowhere + "/confirm", "", "nyynn", 404},
	"POST /api/v1/screening/{id}/review":          {"/api/v1/screening/scr" + nowhere + "/review", "", "nyynn", 404},
	"DELETE /api/v1/screening/{id}":               {"/api/v1/screening/scr" + nowhere, "", "nyynn", 404},
	"POST /api/v1/protected":                      {"/api/v1/protected", protectedBody, "nnyyn", 201},
	"GET /api/v1/protected":                       {"/api/v1/protected", "", "nnyyn", 0},
	"DELETE /api/v1/protected/{id}":               {"/api/v1/protected/ptd" + nowhere, "", "nnyyn", 404},
	"GET /api/v1/policy":                          {"/api/v1/policy", "", "nyyyn", 0},
	"POST /api/v1/policy/explain":                 {"/api/v1/policy/explain", `{"purpose":"routing","recipient":"ENG"}`, "nyyyn", 0},
	"POST /api/v1/policy/proposals":               {"/api/v1/policy/proposals", `{"profile":"nyc-3.3"}`, "nnynn", 201},
	"GET /api/v1/policy/proposals":                {"/api/v1/policy/proposals", "", "nyyyn", 0},
	"POST /api/v1/policy/proposals/{id}/approve":  {"/api/v1/policy/proposals/pfl" + nowhere + "/approve", "", "nyynn", 404},
	"POST /api/v1/policy/proposals/{id}/refuse":   {"/api/v1/policy/proposals/pfl" + nowhere + "/refuse", "", "nyynn", 404},
	"POST /api/v1/accounting":                     {"/api/v1/accounting", accountingBody, "nnyyn", 201},
	"GET /api/v1/accounting":                      {"/api/v1/accounting", "", "nnyyn", 0},
	"POST /api/v1/accounting/{id}/approve":        {"/api/v1/accounting/sbj" + nowhere + "/approve", "", "nnyyn", 404},
	"POST /api/v1/accounting/{id}/refuse":         {"/api/v1/accounting/sbj" + nowhere + "/refuse", `{"code":"87-2-b"}`, "nnyyn", 404},
	"POST /api/v1/accounting/{id}/answer":         {"/api/v1/accounting/sbj" + nowhere + "/answer", "", "nnyyn", 404},
	"GET /api/v1/owner-notices":                   {"/api/v1/owner-notices", "", "nnynn", 0},
	"POST /api/v1/owner-notices/{id}/acknowledge": {"/api/v1/owner-notices/ntc" + nowhere + "/acknowledge", "", "nnynn", 404},
	"GET /api/v1/recalls":                         {"/api/v1/recalls", "", "nnyyn", 0},
	"POST /api/v1/recalls/{id}/delivered":         {"/api/v1/recalls/rcl" + nowhere + "/delivered", "", "nnyyn", 404},
	"GET /api/v1/billing/batches":                 {"/api/v1/billing/batches", "", "nyyyn", 0},
	"GET /api/v1/calls/{id}/billing-proof":        {"/api/v1/calls/cl" + nowhere + "/billing-proof", "", "nyyyn", 404},
	"GET /api/v1/partners":                        {"/api/v1/partners", "", "yynnn", 0},
	"POST /api/v1/calls/{id}/transfers":           {"/api/v1/calls/cl" + nowhere + "/transfers", `{"to":"water"}`, "yynnn", 404},
	"DELETE /api/v1/calls/{id}/transfers":         {"/api/v1/calls/cl" + nowhere + "/transfers", "", "yynnn", 404},
	"POST /api/v1/calls/{id}/handles":             {"/api/v1/calls/cl" + nowhere + "/handles", "", "ynnnn", 403},
	"POST /api/v1/handles/{id}/dial":              {"/api/v1/handles/hdl" + nowhere + "/dial", "", "ynnnn", 404},
}

// Bodies that a privacy office takes.
const (
	consentBody = `{"kind":"written","subscriber":"Ana Gray","number":"+1 212 555 0142","purposes":["disclosure"],"recipients":["PRIV"],"parties":["Gas Works"],
		"evidence":{"sha256":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","kept":"vault 3"},"from":"2026-03-01T00:00:00Z","until":"2026-06-01T00:00:00Z"}`
	paperBody      = `{"form":"informal","issuer":"Precinct Nine","reference":"A-12","served_on":"city","until":"2026-04-01T00:00:00Z"}`
	protectedBody  = `{"number":"+1 212 555 0143","ground":"court-seal","reference":"S-4","until":"2027-03-01T00:00:00Z"}`
	accountingBody = `{"name":"Ana Gray","number":"+1 212 555 0142","proofs":[{"kind":"document","evidence":"P-1"},{"kind":"in-person","evidence":"C-2"}]}`
)

// publics need no token.
var publics = []string{"GET /{$}", "GET /problems", "GET /openapi.json", "GET /ledger/"}

func TestEveryRoleOnEveryRoute(t *testing.T) {
	o := newOffice(t, nil)
	id := string(o.record("demo", "ana", time.Hour).ID)
	for i, role := range console.Roles() {
		token := o.token("demo", role)
		for _, route := range slices.Sorted(maps.Keys(expected)) { // an old key is not dropped just after a new one was made
			want := expected[route]
			t.Run(string(role)+" "+route, func(t *testing.T) {
				method, _, _ := strings.Cut(route, " ")
				w := o.ask(token, method, strings.ReplaceAll(want.target, "CALL", id), want.body)
				if status := want.want(i); status >= 400 {
					o.problem(w, status)
				} else if w.Code != status {
					t.Errorf("status %d, want %d: %s", w.Code, status, w.Body)
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
			if status := elsewhere(want.want(i)); w.Code != status && route != "POST /api/v1/calls/{id}/ani-releases" {
				t.Errorf("%s %s: %d, want %d: %s", role, route, w.Code, status, w.Body)
			}
			if route == "POST /api/v1/calls/{id}/ani-releases" && !strings.Contains(w.Body.String(), `"decision":"DENY","row":"D42"`) {
				t.Errorf("%s may have of a call of another city: %s", role, w.Body) // D42: there is no number
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

// elsewhere is what a route answers about what belongs to another city: 403 where the office says no before it looks.
func elsewhere(status int) int {
	if status == http.StatusForbidden {
		return status
	}
	return http.StatusNotFound
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
	want := me{"Test agent", "demo", "agent", "ana", []string{"me.read", "calls.read", "agents.write", "releases.ask",
		"releases.read", "releases.reveal", "consents.withdraw", "consents.spoken", "partners.read", "calls.transfer", "calls.callback"}, &console.Agent{ID: "ana", State: "ready"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := into[me](t, o.ask(o.token("demo", console.RoleOperator), "GET", "/api/v1/me", "")); fmt.Sprint(got.Permissions) != "[me.read agents.read queues.read releases.ask releases.read releases.reveal processes.write]" {
		t.Errorf("operator: %v", got.Permissions)
	}
}
