package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"callhall/call"
	"callhall/console"

	"github.com/google/go-cmp/cmp"
)

func TestTransfers(t *testing.T) {
	o := newOffice(t, nil)
	ana, ben, sam := o.of("demo", console.RoleAgent, "ana"), o.of("demo", console.RoleAgent, "ben"), o.of("demo", console.RoleSupervisor, "Sam")
	id := o.caller("demo", "ana")
	target := "/api/v1/calls/" + string(id) + "/transfers"
	o.post(ben, target, `{"to":"power"}`, http.StatusNotFound)
	o.post(ana, target, `{"to":"gas"}`, http.StatusUnprocessableEntity)
	o.post(sam, target, `{"to":"power","spoken_consent":true}`, http.StatusUnprocessableEntity)
	o.behind.noLeaf = errInside
	o.post(ana, target, `{"to":"power","spoken_consent":true}`, http.StatusServiceUnavailable)
	if o.behind.noLeaf = nil; len(o.behind.orders) != 0 {
		t.Fatalf("ordered: %+v", o.behind.orders)
	}
	o.post(ana, target, `{"to":"power","spoken_consent":true}`, http.StatusAccepted)
	if last := o.behind.leaves[len(o.behind.leaves)-1]; last.Kind != "ani.consent/1" || last.Call != id || last.Actor != "agent:ana" {
		t.Errorf("what the caller said is not in the ledger: %+v", last)
	}
	o.post(sam, target, `{"to":"water"}`, http.StatusAccepted)
	for token, status := range map[string]int{ben: http.StatusNotFound, ana: http.StatusNoContent} {
		if w := o.ask(token, "DELETE", target, ""); w.Code != status {
			t.Errorf("cancel: %d, want %d: %s", w.Code, status, w.Body)
		}
	}
	by := o.behind.orders[1].(call.TransferOrder).By
	want := []any{call.TransferOrder{City: "demo", Call: id, By: "agent:ana", Agent: "ana", Partner: "power", Spoken: true},
		call.TransferOrder{City: "demo", Call: id, By: by, Agent: "ana", Partner: "water"}, cancelled{"demo", id, "ana", "agent:ana"}}
	if diff := cmp.Diff(want, o.behind.orders); diff != "" || !strings.HasPrefix(by, "token:Sam/") {
		t.Errorf("by %s: %s", by, diff)
	}
	if got := into[struct {
		Data []struct{ ID, Kind, Name string }
	}](t, o.ask(ana, "GET", "/api/v1/partners", "")); len(got.Data) != 2 || got.Data[1].Kind != "private" {
		t.Errorf("%+v", got)
	}
	if w := o.ask(o.of("other", console.RoleAgent, "ana"), "GET", "/api/v1/partners", ""); strings.Contains(w.Body.String(), "water") {
		t.Errorf("%s", w.Body)
	}
}

// Each thing that the switchboard says has its status.
func TestWhatTheSwitchboardRefuses(t *testing.T) {
	o := newOffice(t, func(_ *console.Config, d *console.Deps) {
		d.Board = refusing{d.Board, map[call.PartnerID]error{
			"water": call.ErrBusy, "power": call.ErrNotTalking}}
	})
	ana := o.of("demo", console.RoleAgent, "ana")
	target := "/api/v1/calls/" + string(o.caller("demo", "ana")) + "/transfers"
	for to, sentence := range map[string]string{"water": "another transfer of this call is on its way", "power": "caller and agent are not talking"} {
		if p := o.post(ana, target, `{"to":"`+to+`"}`, http.StatusConflict); !strings.Contains(p, sentence) {
			t.Errorf("%s", p)
		}
	}
}

func TestCallingBackByHandle(t *testing.T) {
	o := newOffice(t, nil)
	ana, ben := o.of("demo", console.RoleAgent, "ana"), o.of("demo", console.RoleAgent, "ben")
	id := o.caller("demo", "ana")
	given := o.post(ana, "/api/v1/calls/"+string(id)+"/handles", "", http.StatusCreated)
	dial := "/api/v1/handles/" + o.field(given, "handle") + "/dial"
	if again := o.post(ana, "/api/v1/calls/"+string(id)+"/handles", "", http.StatusCreated); o.field(again, "handle") != o.field(given, "handle") {
		t.Errorf("another one: %s", again)
	}
	o.post(ana, dial, "", http.StatusConflict) // the call goes on
	o.drop("demo", id)
	o.post(ben, dial, "", http.StatusNotFound)
	o.post(o.of("other", console.RoleAgent, "ana"), dial, "", http.StatusNotFound)
	if back := o.post(ana, dial, "", http.StatusAccepted); o.field(back, "call") != "cl_callback" {
		t.Errorf("%s", back)
	}
	r, err := o.calls.Get(t.Context(), "demo", id)
	if err != nil {
		t.Fatal(err)
	}
	want := []any{call.CallBackOrder{City: "demo", Of: id, Handle: o.field(given, "handle"), Agent: "ana", Queue: r.Queue, Language: r.Language, By: "agent:ana"}}
	if diff := cmp.Diff(want, o.behind.orders); diff != "" || r.Queue == "" {
		t.Error(diff)
	}
	o.silent(given)
}

// Strangers follow the ledger without a token, and do nothing else with it.
func TestThePublicLedger(t *testing.T) {
	o := newOffice(t, nil)
	if w := o.ask("", "GET", "/ledger/demo/checkpoint", ""); w.Code != http.StatusOK || w.Body.String() != "public /ledger/demo/checkpoint" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := o.ask("", "HEAD", "/ledger/demo/tile/0/000", ""); w.Code != http.StatusOK {
		t.Errorf("HEAD: %d", w.Code)
	}
	for _, method := range []string{"POST", "DELETE", "PUT"} {
		o.problem(o.ask("", method, "/ledger/demo/checkpoint", ""), http.StatusMethodNotAllowed)
	}
	w := httptest.NewRecorder()
	o.AdminHandler().ServeHTTP(w, httptest.NewRequest("GET", "/ledger/demo/checkpoint", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("on the admin listener: %d", w.Code)
	}
}

func TestRunningTheLedger(t *testing.T) {
	o := newOffice(t, nil)
	dana := o.of("demo", console.RolePrivacy, "Dana")
	if w := o.ask(dana, "GET", "/api/v1/ledger/consistency?from=1", ""); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != `{"from":1,"to":7}` {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	o.problem(o.ask(dana, "GET", "/api/v1/ledger/consistency?from=9", ""), http.StatusNotFound)
	for _, bad := range []string{"", "?from=0", "?from=-1", "?from=1&to=-1", "?from=x"} {
		o.problem(o.ask(dana, "GET", "/api/v1/ledger/consistency"+bad, ""), http.StatusUnprocessableEntity)
	}
	if key := o.field(o.post(dana, "/api/v1/ledger/keys/rotate", "", http.StatusOK), "key"); !strings.HasPrefix(key, "callhall/ledger/demo+") {
		t.Errorf("%s", key)
	}
	for reason, status := range map[string]int{"disk replaced": 200, "healthy": 409, "refused": 422, "": 422, strings.Repeat("x", 201): 422} {
		o.post(dana, "/api/v1/ledger/succeed", `{"reason":"`+reason+`"}`, status)
	}
	if len(o.behind.orders) != 2 || !strings.HasPrefix(o.behind.orders[0].(string), "rotated by token:Dana/tok_") ||
		!strings.HasSuffix(o.behind.orders[1].(string), ": disk replaced") {
		t.Errorf("%q", o.behind.orders)
	}
}
