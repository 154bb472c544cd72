package console_test

import (
	"net/http"
	"strings"
	"testing"

	"callhall/console"
)

// everything fills the registers of the city demo, and returns the ids by the prefix that they have.
func everything(o *office) map[string]string {
	o.t.Helper()
	ana, dana, sam := o.of("demo", console.RoleAgent, "ana"), o.of("demo", console.RolePrivacy, "Dana"), o.of("demo", console.RoleSupervisor, "Sam")
	live := string(o.caller("demo", "ana"))
	handle := o.field(o.post(ana, "/api/v1/calls/"+live+"/handles", "", http.StatusCreated), "handle")
	ids := map[string]string{"cl": live, "rel": granted(o, ana), "hdl": handle}
	for _, entry := range []struct{ token, prefix, target, body string }{
		{dana, "cns", "/api/v1/consents", consentBody}, {dana, "prc", "/api/v1/processes", paperBody},
		{dana, "ptd", "/api/v1/protected", protectedBody}, {dana, "sbj", "/api/v1/accounting", accountingBody},
		{dana, "pfl", "/api/v1/policy/proposals", `{"profile":"nyc-3.3"}`},
		{sam, "scr", "/api/v1/screening", `{"call":"` + live + `","reason":"spam","until":"2026-03-20T00:00:00Z"}`}} {
		ids[entry.prefix] = o.field(o.post(entry.token, entry.target, entry.body, http.StatusCreated), "id")
	}
	page := into[struct{ Data []struct{ ID string } }](o.t, o.ask(dana, "GET", "/api/v1/owner-notices", ""))
	if len(page.Data) == 0 {
		o.t.Fatal("no notice")
	}
	ids["ntc"] = page.Data[0].ID // of the paper that was misserved
	return ids
}

// With the ids of everything that a city has, a token of another city finds nothing and changes nothing, by every route
// and in every role.
func TestAnotherCityHitsNothing(t *testing.T) {
	o := newOffice(t, nil)
	ids := everything(o)
	leaves := len(o.behind.leaves)
	for i, role := range console.Roles() {
		for _, name := range []string{"ana", "Dana"} { // as those of demo are called
			token := o.of("other", role, name)
			for route, want := range expected {
				if want.may[i] == 'n' || !strings.Contains(want.target, nowhere) || strings.HasSuffix(route, "/ledger") {
					continue
				}
				target, body := want.target, want.body
				for prefix, id := range ids {
					target, body = strings.ReplaceAll(target, prefix+nowhere, id), strings.ReplaceAll(body, prefix+nowhere, id)
				}
				method, _, _ := strings.Cut(route, " ")
				if w := o.ask(token, method, target, body); w.Code != elsewhere(want.want(i)) {
					t.Errorf("%s %s: %d %s", role, target, w.Code, w.Body)
				}
			}
			for route, want := range expected {
				method, _, _ := strings.Cut(route, " ")
				if want.may[i] == 'n' || method != "GET" || strings.Contains(route, "ledger") || strings.Contains(route, "{id}") {
					continue
				}
				w := o.ask(token, method, want.target, "")
				for _, id := range ids {
					if strings.Contains(w.Body.String(), id) {
						t.Errorf("%s %s has %s", role, route, id)
					}
				}
			}
		}
	}
	for i, leaf := range o.behind.leaves[leaves:] {
		if o.behind.cities[leaves+i] != "other" || leaf.Facts["result"] != "DENY" { // a handle that is not given is in their own ledger
			t.Errorf("it wrote %+v", leaf)
		}
	}
	if len(o.behind.orders) != 0 {
		t.Errorf("it ordered %+v", o.behind.orders)
	}
	dana := o.of("demo", console.RolePrivacy, "Dana")
	for prefix, target := range map[string]string{"rel": "/api/v1/ani-releases", "cns": "/api/v1/consents", "prc": "/api/v1/processes", "ptd": "/api/v1/protected",
		"sbj": "/api/v1/accounting", "pfl": "/api/v1/policy/proposals", "scr": "/api/v1/screening", "ntc": "/api/v1/owner-notices"} {
		if w := o.ask(dana, "GET", target, ""); !strings.Contains(w.Body.String(), ids[prefix]) {
			t.Errorf("%s: the city itself does not find %s: %s", target, ids[prefix], w.Body)
		}
	}
}
